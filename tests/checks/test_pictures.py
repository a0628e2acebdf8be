# SPDX-License-Identifier: MIT
"""A canary's screen: a picture with something on it, one colour, or no picture."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from labvirt.checks import pictures
from labvirt.contracts.trials import Shown


def png(mode: str, *, spot: bool) -> bytes:
    bands = len(Image.new(mode, (1, 1)).getbands())
    image = Image.new(mode, (33, 17), 200 if bands == 1 else (200, 77, 3, 255)[:bands])
    if spot:
        image.putpixel((32, 16), 5 if bands == 1 else (1, 2, 3, 255)[:bands])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "I;16"])
def test_a_picture_is_blank_exactly_when_it_has_one_colour(mode: str) -> None:
    spotted, plain = pictures.look(png(mode, spot=True)), pictures.look(png(mode, spot=False))
    assert spotted == Shown(width=33, height=17, blank=False)
    assert plain == Shown(width=33, height=17, blank=True)


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"\x89PNG\r\n\x1a\n" + bytes(100), png("RGB", spot=True)[:-30], b"<svg/>"])
def test_what_is_no_whole_picture_is_none(data: bytes) -> None:
    assert pictures.look(data) is None
    assert pictures.look(png("RGB", spot=True)) is not None


def test_what_is_larger_than_any_screen_is_not_unpacked() -> None:
    """A guest's QEMU draws it: a picture of a few KiB may want gigabytes."""
    file = io.BytesIO()
    Image.new("1", (9000, 8000)).save(file, "PNG")
    assert pictures.look(file.getvalue()) is None
    file = io.BytesIO()
    Image.new("1", (7680, 4320)).save(file, "PNG")
    assert pictures.look(file.getvalue()) == Shown(width=7680, height=4320, blank=True)
