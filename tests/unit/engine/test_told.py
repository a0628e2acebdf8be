# SPDX-License-Identifier: MIT
"""What a guest reads in its firmware, where it may be an instant clone: whoever it is, the same names and lengths."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from labvirt.domain.addresses import LAST_SEAT
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import Guest, Purpose, RunId
from labvirt.domain.lab import Lab, OnLeave
from labvirt.engine.homes import told_of
from tests.engine.simulated import lab, profile

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CLONES = profile(instant_clone=True)


def told(place: Lab, seat: int, purpose: Purpose = Purpose.SEAT, generation: int = 1) -> tuple[tuple[str, str], ...]:
    guest: Guest = replace(first_guest(place, seat, NOW, purpose=purpose), run=RunId(place.guest_name(seat), generation))
    return told_of(guest, CLONES, place, place.identity(seat), None)


def test_names_and_lengths_are_the_templates_and_the_rest_is_its_own() -> None:
    template = told(lab(), LAST_SEAT + 1, Purpose.TEMPLATE)
    assert [(name, len(text.encode())) for name, text in template] == [("forgets", 600), ("seat", 256)]
    other = replace(lab("physics-and-more", 3, on_leave=OnLeave.RESET), name="physics-and-more")
    for each in (told(lab(), 1), told(lab(), 7, generation=12345), told(other, 9)):
        assert [(name, len(text.encode())) for name, text in each] == [(name, len(text.encode())) for name, text in template]
        assert dict(each)["seat"] != dict(template)["seat"]
    assert dict(told(lab(), 7, generation=12))["seat"].startswith("run=lab-a-07.g12 name=lab-a-07 uuid=")
    # A template is a seat to whoever reads it; a canary is none.
    assert "on trial" not in dict(template)["forgets"]
    assert "on trial" in dict(told(lab(), LAST_SEAT + 1, Purpose.CANARY))["forgets"]


def test_who_is_never_cloned_is_told_no_more_than_before() -> None:
    place = lab()
    (only,) = told_of(first_guest(place, 1, NOW), profile(), place, place.identity(1), None)
    assert only[0] == "forgets"
    assert not only[1].endswith(" ")
