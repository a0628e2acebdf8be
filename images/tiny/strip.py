# SPDX-License-Identifier: MIT
"""Reads the tiny guest's colour strip from a screenshot: which guest is this picture of?

Two bands of 38 equal cells, each cell one of four hues (two bits): 5 marker cells, 6 payload bytes, 1 checksum byte,
5 marker cells. The upper band carries the MAC, the lower the IPv4 address and the MAC's last two bytes again, which
bind the two. Found by hue and proportion alone, so scale, borders and some blur do not matter. guest/sbin/screen
paints it; README.md has the table. Needs Pillow; touches no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageChops

MARKER_CELLS = 5
PAYLOAD_BYTES = 6
CELLS = 2 * MARKER_CELLS + 4 * (PAYLOAD_BYTES + 1)

# The four colours, by the two bits they mean.
COLOURS = ((0xFF, 0x4D, 0x6D), (0x2E, 0xD8, 0xA3), (0xFF, 0xD2, 0x3F), (0x4F, 0x7C, 0xFF))

MAC_KIND, ADDRESS_KIND = ord("M"), ord("A")
MARKERS = {
    MAC_KIND: ((0, 1, 2, 3, 0), (3, 2, 1, 0, 3)),
    ADDRESS_KIND: ((1, 0, 3, 2, 1), (2, 3, 0, 1, 2)),
}

_HUE_TOLERANCE = 22  # Of 256; the nearest two of the four are 40 apart.
_LEAST_SATURATION, _LEAST_BRIGHTNESS = 90, 70  # Of 255: leaves out white, greys and the dark ground.
_LEAST_CELL_PIXELS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """What one guest's screen says about it."""

    mac: str
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Band:
    kind: int
    payload: bytes
    left: int
    right: int
    row: int


def checksum(kind: int, payload: bytes) -> int:
    """CRC-8 (polynomial 0x07, start 0) over the kind byte and the payload."""
    crc = 0
    for byte in (kind, *payload):
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ (0x07 if crc & 0x80 else 0)) & 0xFF
    return crc


def encode(kind: int, payload: bytes) -> list[int]:
    """The cells (0 to 3) of one band, left to right. What guest/sbin/screen does, for tests and simulators."""
    start, end = MARKERS[kind]
    data = [byte >> shift & 3 for byte in (*payload, checksum(kind, payload)) for shift in (6, 4, 2, 0)]
    return [*start, *data, *end]


def read_strip(image: Image.Image) -> Strip | None:
    """The strip in a picture; None when there is none, when it is damaged, or when there are several guests in it."""
    strips = read_strips(image)
    return strips[0] if len(strips) == 1 else None


def read_strips(image: Image.Image) -> list[Strip]:
    """All guests in a picture, each once, from top to bottom. A band with a wrong checksum does not count."""
    bands = list(_bands(image))
    strips: list[Strip] = []
    for mac in (band for band in bands if band.kind == MAC_KIND):
        below = (band for band in bands if band.kind == ADDRESS_KIND and _belongs(mac, band))
        address = min(below, key=lambda band: band.row, default=None)
        if address is not None:
            strip = Strip(
                mac=":".join(f"{byte:02x}" for byte in mac.payload),
                address=".".join(str(byte) for byte in address.payload[:4]),
            )
            if strip not in strips:
                strips.append(strip)
    return strips


def _belongs(mac: _Band, address: _Band) -> bool:
    """Whether an address band stands close under a MAC band of the same guest and width."""
    width = mac.right - mac.left
    near = abs(mac.left - address.left) + abs(mac.right - address.right) <= width // 10
    return near and mac.row < address.row <= mac.row + width and address.payload[4:] == mac.payload[4:]


def _bands(image: Image.Image) -> Iterator[_Band]:
    """Every row of the picture in which a whole band with a correct checksum can be read."""
    rgb = image.convert("RGB")
    width, height = rgb.size
    classes = _classify(rgb)
    # Between two cells a resampled picture has a few blended pixels that are none of the four hues.
    patterns = [re.compile(rb"[\x01-\x04]+(?:\x00{1,%d}[\x01-\x04]+)*" % gap) for gap in sorted({1, max(1, width // 200)})]
    for row in range(height):
        line = classes[row * width : (row + 1) * width]
        if len(line) - line.count(0) < CELLS * _LEAST_CELL_PIXELS:
            continue
        for pattern in patterns:
            found = [band for match in pattern.finditer(line) if (band := _decode(match[0], match.start(), row)) is not None]
            if found:
                yield from found
                break


def _classify(rgb: Image.Image) -> bytes:
    """One byte for each pixel: 1 to 4 for the four hues, 0 for everything else."""
    hue, saturation, brightness = rgb.convert("HSV").split()
    table = [0] * 256
    for value, colour in enumerate(COLOURS, start=1):
        centre = Image.new("RGB", (1, 1), colour).convert("HSV").tobytes()[0]
        for offset in range(-_HUE_TOLERANCE, _HUE_TOLERANCE + 1):
            table[(centre + offset) % 256] = value
    # The hue classes, masked: multiplying by 0 or 255 keeps or clears.
    vivid = saturation.point([0] * _LEAST_SATURATION + [255] * (256 - _LEAST_SATURATION))
    bright = brightness.point([0] * _LEAST_BRIGHTNESS + [255] * (256 - _LEAST_BRIGHTNESS))
    return ImageChops.multiply(hue.point(table), ImageChops.multiply(vivid, bright)).tobytes()


def _decode(run: bytes, left: int, row: int) -> _Band | None:
    """The band that a stretch of coloured pixels is, if it is one from end to end."""
    if len(run) < CELLS * _LEAST_CELL_PIXELS:
        return None
    pitch = len(run) / CELLS
    cells = []
    for cell in range(CELLS):
        # The middle half: its edges are where neighbours bleed in.
        middle = run[int((cell + 0.25) * pitch) : max(int((cell + 0.75) * pitch), int((cell + 0.25) * pitch) + 1)]
        value = max((1, 2, 3, 4), key=middle.count)
        if 2 * middle.count(value) < len(middle):
            return None
        cells.append(value - 1)
    data = cells[MARKER_CELLS:-MARKER_CELLS]
    for kind, (start, end) in MARKERS.items():
        if tuple(cells[:MARKER_CELLS]) == start and tuple(cells[-MARKER_CELLS:]) == end:
            octets = bytes(data[at] << 6 | data[at + 1] << 4 | data[at + 2] << 2 | data[at + 3] for at in range(0, len(data), 4))
            payload, crc = octets[:-1], octets[-1]
            if crc == checksum(kind, payload):
                return _Band(kind=kind, payload=payload, left=left, right=left + len(run), row=row)
    return None
