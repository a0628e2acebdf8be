# SPDX-License-Identifier: MIT
"""The colour strip: what the guest paints is read back from any picture of it, and nothing else ever is."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw, ImageFilter

from .tiny_guest import recipe_module

strip = recipe_module("strip")

MAC = bytes.fromhex("525400abcdef")
ADDRESS = bytes((10, 0, 2, 15))
EXPECTED = strip.Strip(mac="52:54:00:ab:cd:ef", address="10.0.2.15")
GROUND = (0x0D, 0x14, 0x24)


def screen(mac: bytes = MAC, address: bytes = ADDRESS, *, flip: tuple[int, int] | None = None) -> Image.Image:
    """The guest's 720x400 text screen; flip=(band, cell) shows that cell in the next colour."""
    image = Image.new("RGB", (720, 400), GROUND)
    pen = ImageDraw.Draw(image)
    pen.rectangle((100, 64, 600, 170), fill=(0x6A, 0xCC, 0xF6))  # where the block letters stand
    bands = [strip.encode(strip.MAC_KIND, mac), strip.encode(strip.ADDRESS_KIND, address + mac[4:])]
    if flip is not None:
        band, cell = flip
        bands[band][cell] = (bands[band][cell] + 1) % 4
    for top, cells in zip((256, 304), bands, strict=True):
        for number, value in enumerate(cells):
            pen.rectangle((18 + 18 * number, top, 35 + 18 * number, top + 31), fill=strip.COLOURS[value])
    return image


@pytest.mark.parametrize("scale", [0.25, 0.5, 0.73, 1, 1.37, 2, 3])
@pytest.mark.parametrize("resampling", [Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS])
def test_any_scale(scale: float, resampling: Image.Resampling) -> None:
    image = screen().resize((int(720 * scale), int(400 * scale)), resampling)
    assert strip.read_strip(image) == EXPECTED


@pytest.mark.parametrize("border", [(0, 0, 0), (255, 255, 255), (0xF0, 0xF0, 0xF0), (0x35, 0x84, 0xE4), (255, 77, 109)])
def test_borders(border: tuple[int, int, int]) -> None:
    """A viewer's window, letterboxing, even a frame in a colour near to the strip's own."""
    picture = Image.new("RGB", (1280, 1024), border)
    picture.paste(screen().resize((900, 500), Image.Resampling.BILINEAR), (171, 303))
    assert strip.read_strip(picture) == EXPECTED


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_blur(radius: int) -> None:
    assert strip.read_strip(screen().filter(ImageFilter.GaussianBlur(radius))) == EXPECTED


def test_dimmed_and_with_alpha() -> None:
    dimmed = screen().point([value * 6 // 10 for value in range(256)] * 3)
    assert strip.read_strip(dimmed) == EXPECTED
    assert strip.read_strip(screen().convert("RGBA")) == EXPECTED


@pytest.mark.parametrize("mac", [bytes(6), b"\xff" * 6, bytes.fromhex("aa55aa55aa55"), bytes.fromhex("001b2d4e72ff")])
def test_extreme_values(mac: bytes) -> None:
    address = bytes((255, 0, 170, 85))
    found = strip.read_strip(screen(mac, address))
    assert found == strip.Strip(mac=mac.hex(":"), address="255.0.170.85")


@pytest.mark.parametrize("band", [0, 1])
def test_any_wrong_cell_is_refused(band: int) -> None:
    assert strip.read_strip(screen()) == EXPECTED
    for cell in range(strip.CELLS):
        assert strip.read_strip(screen(flip=(band, cell))) is None, cell


def test_nothing_to_read() -> None:
    assert strip.read_strip(screen()) == EXPECTED
    assert strip.read_strip(Image.new("RGB", (720, 400), GROUND)) is None
    assert strip.read_strip(Image.effect_noise((720, 400), 120).convert("RGB")) is None
    assert strip.read_strip(screen().crop((0, 0, 400, 400))) is None
    assert strip.read_strip(screen().crop((0, 0, 720, 300))) is None, "a MAC alone is not a strip"
    assert strip.read_strip(screen().transpose(Image.Transpose.FLIP_LEFT_RIGHT)) is None
    assert strip.read_strip(Image.new("RGB", (1, 1))) is None


def test_bands_of_two_guests_are_never_mixed() -> None:
    other = bytes.fromhex("525400abcd00")
    mixed = screen()
    mixed.paste(screen(other).crop((0, 296, 720, 400)), (0, 296))
    assert strip.read_strip(mixed) is None
    assert strip.read_strip(screen(other)) == strip.Strip(mac="52:54:00:ab:cd:00", address="10.0.2.15")


def test_several_guests_in_one_picture() -> None:
    wall = Image.new("RGB", (1440, 800), (128, 128, 128))
    for seat in range(4):
        wall.paste(screen(MAC[:5] + bytes((seat,)), bytes((10, 0, 0, seat))), (720 * (seat % 2), 400 * (seat // 2)))
    assert {found.address for found in strip.read_strips(wall)} == {f"10.0.0.{seat}" for seat in range(4)}
    assert strip.read_strip(wall) is None
