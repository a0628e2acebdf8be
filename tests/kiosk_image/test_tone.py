# SPDX-License-Identifier: MIT
"""The ear of `make devices-test`: a tone is found by its frequency, and neither silence nor another tone is taken for it."""

from __future__ import annotations

import array
import math
from pathlib import Path

import pytest

from tests.boot.tone import HEADER_BYTES, HERTZ, RATE, Ear


def sound(hertz: float, loud: float, *, square: bool = False) -> bytes:
    """A fifth of a second of it, for two loudspeakers."""
    samples = array.array("h")
    for place in range(RATE // 5):
        value = math.sin(2 * math.pi * hertz * place / RATE)
        value = math.copysign(1, value) if square else value
        samples.extend([round(32767 * loud * value)] * 2)
    return samples.tobytes()


@pytest.mark.parametrize("square", [False, True])
def test_a_tone_is_found_by_its_frequency_and_its_loudness_is_told(tmp_path: Path, square: bool) -> None:
    file = tmp_path / "speakers.wav"
    file.write_bytes(bytes(HEADER_BYTES))
    ear = Ear(file, HERTZ)
    with file.open("ab") as stream:
        stream.write(bytes(RATE))
        stream.write(sound(HERTZ, 0.5, square=square))
    ear.listen()
    assert len(ear.tone) >= 7
    assert sorted(ear.tone)[3] == pytest.approx(0.5 if square else 0.354, rel=0.15)
    before = len(ear.tone)
    with file.open("ab") as stream:
        stream.write(sound(HERTZ, 0.5, square=square))
    ear.listen()
    assert len(ear.tone) > before  # it goes on where it was


@pytest.mark.parametrize("hertz", [330.0, 800.0, 1000.0])
def test_another_tone_is_sound_and_not_the_tone(tmp_path: Path, hertz: float) -> None:
    file = tmp_path / "speakers.wav"
    file.write_bytes(bytes(HEADER_BYTES) + sound(hertz, 0.5))
    ear = Ear(tmp_path / "later.wav", HERTZ)
    file.rename(tmp_path / "later.wav")
    ear.listen()
    assert len(ear.any) >= 7
    assert ear.tone == []


def test_silence_is_none(tmp_path: Path) -> None:
    file = tmp_path / "speakers.wav"
    ear = Ear(file, HERTZ)
    ear.listen()
    file.write_bytes(bytes(HEADER_BYTES) + bytes(RATE) + sound(HERTZ, 0.0005))
    ear.listen()
    assert (ear.any, ear.tone) == ([], [])
