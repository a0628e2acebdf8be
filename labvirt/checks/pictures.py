# SPDX-License-Identifier: MIT
"""Is there anything on a screen, and does it change?"""

from __future__ import annotations

import io

from PIL import Image, ImageChops

from labvirt.contracts.trials import Shown

LARGEST_PIXELS = 40_000_000
"""A screen of 8K has 33 million; a guest's QEMU may draw what it likes, and a small file may unpack to gigabytes."""

SMALL_CHANGE = 0.005
"""Share of the pixels that a blinking cursor or a clock changes: a text cursor of 720 x 400 has 0.05 %, a clock in a panel about 0.2 %."""


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


def alike(before: bytes, after: bytes) -> bool:
    """At most SMALL_CHANGE of the pixels differ. False when one is no picture, or they have different sizes."""
    if before == after:
        return look(before) is not None
    try:
        with Image.open(io.BytesIO(before), formats=("PNG",)) as old, Image.open(io.BytesIO(after), formats=("PNG",)) as new:
            pixels = old.width * old.height
            if old.size != new.size or pixels > LARGEST_PIXELS:
                return False
            same = ImageChops.difference(old.convert("RGB"), new.convert("RGB")).convert("L").point([0] + [1] * 255).histogram()[0]
            return pixels - same <= pixels * SMALL_CHANGE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
