# SPDX-License-Identifier: MIT
"""What the teacher tells: who hears it, how long, beside which notice; and the end of a lesson, counted down and called off."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labvirt.domain.guest import Due, GuestState
from labvirt.errors import Conflict, InvalidInput, NotFound
from labvirt.usecases import asking, messages, power
from tests.unit.usecases.conftest import MAC, OWN, Site


def heard(site: Site) -> str | None:
    return asking.ask(site.ports, str(MAC), OWN).answer.notice


@pytest.fixture
def sitting(site: Site) -> Site:
    """A site whose only seat runs."""
    power.start(site.ports, "pc-01")
    site.move(GuestState.RUNNING)
    return site


def test_a_message_is_heard_until_its_time_and_the_next_replaces_it(sitting: Site) -> None:
    assert heard(sitting) is None
    messages.tell_guest(sitting.ports, "pc-01", "Please come.", minutes=5, by="anna")
    assert heard(sitting) == "Please come."
    assert [each.text for each in messages.tell_lab(sitting.ports, "lab-a", " Well done. ", minutes=1, by="anna")] == ["Well done."]
    assert heard(sitting) == "Well done."
    sitting.clock.go(59)
    assert heard(sitting) == "Well done."
    sitting.clock.go(2)
    assert heard(sitting) is None
    assert "told by anna: Please come." in sitting.history("lab-a-01")


def test_what_nobody_could_read_is_refused(sitting: Site) -> None:
    for text in ("", " ", "x" * 141, "two\nlines", "\x1b[2J"):
        with pytest.raises(InvalidInput):
            messages.tell_guest(sitting.ports, "lab-a-01", text, by="anna")
    for minutes in (0, 1441):
        with pytest.raises(InvalidInput):
            messages.tell_lab(sitting.ports, "lab-a", "Hello.", minutes=minutes, by="anna")
    with pytest.raises(NotFound):
        messages.tell_guest(sitting.ports, "nobody", "Hello.", by="anna")
    with pytest.raises(NotFound):
        messages.tell_lab(sitting.ports, "nowhere", "Hello.", by="anna")
    assert heard(sitting) is None
    messages.tell_guest(sitting.ports, "lab-a-01", "x" * 140, by="anna")
    assert heard(sitting) == "x" * 140


def test_nobody_there_is_said(site: Site) -> None:
    with pytest.raises(Conflict):
        messages.tell_lab(site.ports, "lab-a", "Hello.", by="anna")
    with pytest.raises(Conflict):
        messages.end_lesson(site.ports, "lab-a", site.clock.now() + timedelta(minutes=5), fresh=True, by="anna")
    power.start(site.ports, "pc-01")
    site.move(GuestState.RUNNING)
    assert messages.tell_lab(site.ports, "lab-a", "Hello.", by="anna")


@pytest.mark.parametrize("fresh", [True, False])
def test_the_end_of_a_lesson_is_told_counted_down_and_moved(sitting: Site, fresh: bool) -> None:
    at = sitting.clock.now() + timedelta(minutes=30)
    told = messages.end_lesson(sitting.ports, "lab-a", at, fresh=fresh, by="anna")
    assert [(guest.due, guest.due_at) for guest in told] == [(Due.FRESH if fresh else Due.STOP, at)]
    what = "started afresh" if fresh else "switched off"
    assert heard(sitting) == f"The lesson ends at {at.astimezone():%H:%M}: this computer is {what} then. Please save your work."
    sitting.clock.go(25 * 60)
    assert heard(sitting) == "Time is up in 5 minutes. Please save your work."
    messages.tell_guest(sitting.ports, "pc-01", "Bring your notes.", by="anna")
    assert heard(sitting) == "Time is up in 5 minutes. Please save your work. Bring your notes."
    sitting.clock.go(4 * 60 + 1)
    assert heard(sitting) == "Time is up in 1 minute. Please save your work. Bring your notes."
    later = at + timedelta(minutes=30)
    messages.end_lesson(sitting.ports, "lab-a", later, fresh=fresh, by="anna")
    assert (sitting.guest() or told[0]).due_at == later
    assert [guest.name for guest in messages.call_off_end(sitting.ports, "lab-a", by="anna")] == ["lab-a-01"]
    assert heard(sitting) == "Bring your notes."
    assert messages.call_off_end(sitting.ports, "lab-a", by="anna") == ()


def test_who_was_told_something_else_keeps_it(sitting: Site) -> None:
    now = sitting.clock.now()
    guest = sitting.guest()
    assert guest is not None
    with sitting.ports.database.write() as work:
        work.guests.update(guest.with_due(Due.STOP, now + timedelta(minutes=9), "tiny is being updated: save your work."))
        work.commit()
    with pytest.raises(Conflict):
        messages.end_lesson(sitting.ports, "lab-a", now + timedelta(minutes=5), fresh=True, by="anna")
    assert messages.call_off_end(sitting.ports, "lab-a", by="anna") == ()
    assert heard(sitting) == "tiny is being updated: save your work."
    for at in (now, now - timedelta(minutes=1), now + timedelta(days=2)):
        with pytest.raises(InvalidInput):
            messages.end_lesson(sitting.ports, "lab-a", at, fresh=True, by="anna")
