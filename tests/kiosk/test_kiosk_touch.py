# SPDX-License-Identifier: MIT
"""The kiosk says whether somebody is in front of it: what the face sees of keys and mouse, in a heartbeat."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_touch_is_kept_and_told_in_seconds(tmp_path) -> None:
    from labvirt_kiosk.touch import LONGEST_SECONDS, TouchStore

    clock = Clock()
    face, kiosk = TouchStore(tmp_path, clock), TouchStore(tmp_path, clock)
    assert kiosk.seconds() is None
    clock.now = 160.0
    for nobody in (-1, 60_000, 90_000):  # not told; the X server counts from its own start, which was before the face's
        face.idle(nobody)
        assert kiosk.seconds() is None
    face.idle(3_000)
    assert kiosk.seconds() == 3
    clock.now = 190.0
    face.idle(33_000)  # nobody since
    assert kiosk.seconds() == 33
    face.idle(0)
    assert kiosk.seconds() == 0
    clock.now += LONGEST_SECONDS + 1
    assert kiosk.seconds() is None


@pytest.mark.parametrize("text", ["", "soon", "nan", "1e9", "-5" + "0" * 400, "\xff"])
def test_a_file_that_is_not_ours_means_nobody(tmp_path, text) -> None:
    from labvirt_kiosk.touch import TouchStore

    clock = Clock()
    (tmp_path / "touched").write_text(text, encoding="latin-1")
    assert TouchStore(tmp_path, clock).seconds() is None
    (tmp_path / "touched").write_text("99.0\n")
    assert TouchStore(tmp_path, clock).seconds() == 1


def test_a_folder_that_cannot_be_written_harms_nobody(tmp_path) -> None:
    from labvirt_kiosk.touch import TouchStore

    clock = Clock()
    store = TouchStore(tmp_path / "none", clock)
    clock.now = 200.0
    store.idle(0)
    assert store.seconds() is None


def test_who_comes_is_told_at_once_and_who_stays_with_each_heartbeat() -> None:
    from labvirt_kiosk.heartbeat import Heartbeat

    heard: list[Mapping[str, str]] = []
    came, told = threading.Event(), threading.Event()
    first = threading.Event()

    def send(fields: Mapping[str, str]) -> None:
        heard.append(dict(fields))
        (told if "touched_seconds" in fields else first).set()

    beat = Heartbeat(send, lambda _: None, 3600.0, touched=lambda: 2 if came.is_set() else None)
    beat.start()
    try:
        beat.say("none")
        assert first.wait(60)
        came.set()
        assert told.wait(60)  # and not in an hour
    finally:
        beat.stop()
    assert heard[0] == {"viewer": "none"}
    assert heard[-1] == {"viewer": "none", "touched_seconds": "2"}


def test_the_place_stands_beside_the_time_that_counts_down() -> None:
    from labvirt_kiosk.catalogue import Catalogue
    from labvirt_kiosk.face_view import view_of

    now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def shown(waits_for: str, expect_at: str | None, language: str = "en") -> tuple[str, str]:
        status = {"state": "waiting", "message": "Your computer is being started.", "waits_for": waits_for, "expect_at": expect_at}
        view = view_of(status, Catalogue(language), now)
        return view.detail, view.countdown

    at = "2026-01-01T12:00:04+00:00"
    assert shown("place 7, about 5 s", at) == ("Waiting for: place 7", "Ready in about 4 seconds")
    assert shown("place 30 or before, at most about 40 s", at)[0] == "Waiting for: place 30 or before"
    assert shown("place 7", None) == ("Waiting for: place 7", "")
    lack = "place 3: the host local has about 64 MiB of memory left and this guest needs 160 MiB"
    assert shown(lack, None) == (f"Waiting for: {lack}", "")
    assert "na této" not in shown(lack, None, "cs")[0]
    assert "3. v pořadí: hostitel local má asi 64 MiB volné paměti" in shown(lack, None, "cs")[0]
