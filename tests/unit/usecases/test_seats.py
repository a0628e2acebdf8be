# SPDX-License-Identifier: MIT
"""Seats and versions: what each has, what it takes next, and the bulk restart of the old ones."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Due, GuestState, StopHow
from labvirt.errors import InvalidInput, NotFound
from labvirt.usecases import inspect, power, profiles, rescue, seats, versions
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site


@pytest.fixture
def lab(site: Site) -> Site:
    """Three seats run tiny v1 (the second has somebody in front of it), then v2 is published; the fourth has it already."""
    for name in ("lab-a-01", "lab-a-02", "lab-a-03"):
        library.running(site, name, state=GuestState.CONNECTED if name == "lab-a-02" else GuestState.RUNNING)
    library.another(site, 2, publish=True)
    library.running(site, "lab-a-04")
    return site


def test_each_seat_says_what_it_has_and_what_it_takes_next(lab: Site) -> None:
    found = {each.guest: each for each in seats.versions(lab.ports)}
    assert found["lab-a-01"].words == "tiny v1, v2 at next start"
    assert (found["lab-a-04"].words, found["lab-a-04"].is_old, found["lab-a-01"].is_old) == ("tiny v2", False, True)
    seen = {seat.guest.name: seat.versions for part in inspect.overview(lab.ports).labs for seat in part.seats if seat.guest}
    assert seen == {name: each.words for name, each in found.items()}
    assert inspect.explain(lab.ports, "lab-a-01").versions == "tiny v1, v2 at next start"
    versions.rollback(lab.ports, "tiny", by="anna")
    assert seats.versions(lab.ports)[3].words == "tiny v2, v1 at next start"


def test_old_seats_restart_at_once_or_after_the_grace(lab: Site) -> None:
    ports = lab.ports
    now = lab.clock.now()
    planned = seats.restart_old(ports, lab="lab-a", image="tiny", grace_seconds=300, by="anna", dry_run=True)
    assert [(each.guest, each.at) for each in planned] == [("lab-a-01", now), ("lab-a-02", now + timedelta(seconds=300)), ("lab-a-03", now)]
    assert lab.guest("lab-a-01").state is GuestState.RUNNING  # type: ignore[union-attr]
    lab.engine.asked.clear()
    assert seats.restart_old(ports, grace_seconds=300, by="anna") == planned
    assert lab.engine.pokes == 1
    first, second, fourth = (lab.guest(f"lab-a-0{seat}") for seat in (1, 2, 4))
    assert first is not None
    assert second is not None
    assert fourth is not None
    assert (first.state, second.state, fourth.state) == (GuestState.WANTED, GuestState.CONNECTED, GuestState.RUNNING)
    assert (second.due, second.due_at) == (Due.FRESH, now + timedelta(seconds=300))
    assert "save your work" in second.notice
    lab.clock.go(100)
    again = seats.restart_old(ports, grace_seconds=900, by="bert")
    assert [(each.guest, each.at, each.why) for each in again] == [
        ("lab-a-02", now + timedelta(seconds=300), "it is told already that it is started afresh then")
    ]
    assert lab.guest("lab-a-02") == second


def test_who_cannot_be_started_again_or_is_going_is_left_alone_and_said(lab: Site) -> None:
    ports = lab.ports
    power.stop(ports, "lab-a-03", StopHow.SHUTDOWN)
    profiles.change(ports, "desk", active=False)
    found = {each.guest: each for each in seats.restart_old(ports, grace_seconds=0, by="anna")}
    assert all(each.at is None for each in found.values())
    assert "not active" in found["lab-a-01"].why
    assert found["lab-a-03"].why == "it is being stopped"
    profiles.change(ports, "desk", active=True)
    assert [each.guest for each in seats.restart_old(ports, grace_seconds=0, by="anna") if each.at] == ["lab-a-01", "lab-a-02"]
    with pytest.raises(NotFound):
        seats.restart_old(ports, lab="lab-x", grace_seconds=0, by="anna")
    with pytest.raises(InvalidInput, match="grace"):
        seats.restart_old(ports, grace_seconds=-1, by="anna")


def test_an_open_session_holds_them_where_they_are(lab: Site) -> None:
    library.draft(lab, parent=2, state=DraftState.OPEN)
    found = seats.restart_old(lab.ports, grace_seconds=0, by="anna")
    assert all(each.at is None and "is being updated by teacher" in each.why for each in found)
    assert len(found) == 4


def test_special_guests_are_apart(lab: Site) -> None:
    from labvirt.domain.guest import RunId

    library.kept(lab, RunId("lab-a-05", 1), library.versions(lab)[0])
    guest = rescue.start(lab.ports, "lab-a-05.g1", by="anna")
    (part,) = inspect.overview(lab.ports).labs
    assert [(each.guest.name, each.subject, each.versions) for each in part.specials] == [("lab-a-s01", "lab-a-05.g1", "tiny v1")]
    assert all(seat.guest is None or seat.guest.name != guest.name for seat in part.seats)
    told = inspect.explain(lab.ports, "lab-a-s01")
    assert (told.rule.startswith("the rescue of the run lab-a-05.g1"), told.profile and told.profile.name) == (True, "desk")
    assert [each.guest for each in seats.versions(lab.ports)] == [f"lab-a-0{seat}" for seat in (1, 2, 3, 4)]
