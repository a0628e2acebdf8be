# SPDX-License-Identifier: MIT
"""What is really on a demo terminal's screen: the X server's own frame buffer, and the colour strip that a tiny guest paints into it."""

from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path
from types import ModuleType

from PIL import Image

XWD_HEADER = struct.Struct(">25I")
"""XWDFile.h: 25 CARD32, big-endian; then the window name, then ncolors entries of 12 bytes, then the pixels."""
COLOUR_ENTRY = 12


def read_frame_buffer(path: Path) -> Image.Image | None:
    """Xvfb's mapped screen (-fbdir) as a picture; None while there is none. Only the 32-bit layout that Xvfb makes at depth 24 is read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if len(data) < XWD_HEADER.size:
        return None
    header = XWD_HEADER.unpack_from(data)
    header_size, width, height, bits_per_pixel, bytes_per_line, colours = (
        header[0],
        header[4],
        header[5],
        header[11],
        header[12],
        header[19],
    )
    offset = header_size + colours * COLOUR_ENTRY
    if bits_per_pixel != 32 or len(data) < offset + bytes_per_line * height:
        return None
    return Image.frombuffer(
        "RGB", (width, height), data[offset : offset + bytes_per_line * height], "raw", "BGRX", bytes_per_line, 1
    ).copy()


def strip_reader(recipe: Path) -> ModuleType:
    """The tiny image's own strip module: recipe and reader share their layout, so the file beside the recipe is used, not a copy."""
    spec = importlib.util.spec_from_file_location("labvirt_tiny_strip", recipe / "strip.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(recipe / "strip.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
