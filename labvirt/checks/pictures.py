# SPDX-License-Identifier: MIT
"""Is there anything on a screen?"""

from __future__ import annotations

import io

from PIL import Image

from labvirt.contracts.trials import Shown

LARGEST_PIXELS = 40_000_000
"""A screen of 8K has 33 million; a guest's QEMU may draw what it likes, and a small file may unpack to gigabytes."""


def look(png: bytes) -> Shown | None:
    """None for what is no PNG, or not a whole one, or larger than any screen."""
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                return None
            picture.load()
            extremes = picture.getextrema()
            bands = extremes if isinstance(extremes[0], tuple) else (extremes,)
            return Shown(width=picture.width, height=picture.height, blank=all(low == high for low, high in bands))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
