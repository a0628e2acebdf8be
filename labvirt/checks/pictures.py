# SPDX-License-Identifier: MIT
"""Is there anything on a screen?"""

from __future__ import annotations

import io

from PIL import Image

from labvirt.contracts.trials import Shown


def look(png: bytes) -> Shown | None:
    """None for what is no PNG, or not a whole one, or larger than any screen (Pillow's own bound)."""
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
            picture.load()
            extremes = picture.getextrema()
            bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
            return Shown(width=picture.width, height=picture.height, blank=all(low == high for low, high in bands))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
