# SPDX-License-Identifier: MIT
"""Who may open which console, and what a ticket is bound to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labvirt.domain.caller import Caller, CallerKind, Grant
from labvirt.domain.console import ConsoleKind
from labvirt.domain.guest import GuestState, Purpose
from labvirt.domain.right import Right, Role
from labvirt.errors import Conflict, Exhausted, GuestNotReady, LabVirtError, NotAllowed, NotFound, TooManyRequests
from labvirt.usecases import console_tickets, consoles, power
from labvirt.usecases.ports import Ports

from .conftest import Site

SCREEN = ConsoleKind.SCREEN


def person(
    site: Site, role: Role | None, *, lab: str | None = "lab-a", sign_in: str = "s1", rights: frozenset[Right] | None = None
) -> Ports:
    grants = (Grant(role, lab),) if role else ()
    return site.ports.on_behalf_of(Caller(kind=CallerKind.PERSON, name="anna", grants=grants, sign_in=sign_in, rights=rights))


@pytest.fixture
def running(site: Site) -> Site:
    power.start(site.ports, "lab-a-01")
    site.move(GuestState.STARTING)
    site.move(GuestState.RUNNING)
    return site


@pytest.mark.parametrize(
    "role, looks, types",
    [
        (Role.ADMINISTRATOR, None, None),
        (Role.TEACHER, None, None),
        (Role.HELP_DESK, None, None),
        (Role.VIEWER, NotAllowed, NotAllowed),
        (None, NotFound, NotFound),
    ],
)
def test_who_may(running: Site, role: Role | None, looks: type[LabVirtError] | None, types: type[LabVirtError] | None) -> None:
    ports = person(running, role)
    for view_only, refusal in ((True, looks), (False, types)):
        if refusal is None:
            console = consoles.spend(ports, consoles.buy(ports, "lab-a-01", SCREEN, view_only=view_only).ticket)
            assert (console.guest, console.view_only) == ("lab-a-01", view_only)
        else:
            with pytest.raises(refusal):
                consoles.buy(ports, "lab-a-01", SCREEN, view_only=view_only)


def test_guests_of_other_labs_do_not_exist(running: Site) -> None:
    with pytest.raises(NotFound):
        consoles.buy(person(running, Role.TEACHER, lab="lab-b"), "lab-a-01", SCREEN, view_only=True)
    assert consoles.buy(person(running, Role.TEACHER), "lab-a-01", SCREEN, view_only=True).seconds == 60


def test_a_token_that_may_only_watch(running: Site) -> None:
    ports = person(running, Role.TEACHER, rights=frozenset({Right.LOOK, Right.WATCH}))
    consoles.buy(ports, "lab-a-01", SCREEN, view_only=True)
    assert not consoles.may_type(ports, "lab-a-01")
    with pytest.raises(NotAllowed, match="console"):
        consoles.buy(ports, "lab-a-01", SCREEN, view_only=False)


@pytest.mark.parametrize("purpose", [Purpose.ADMIN, Purpose.RESCUE])
def test_typing_into_an_image_is_updating(running: Site, purpose: Purpose) -> None:
    with running.ports.database.write() as work:
        work.guests.update(replace(work.guests.one("lab-a-01"), purpose=purpose))
        work.commit()
    desk = person(running, Role.HELP_DESK)
    consoles.buy(desk, "lab-a-01", SCREEN, view_only=True)
    with pytest.raises(NotAllowed, match="update"):
        consoles.buy(desk, "lab-a-01", SCREEN, view_only=False)
    consoles.buy(person(running, Role.TEACHER), "lab-a-01", SCREEN, view_only=False)


def test_the_serial_line_of_a_canary_is_its_checks(running: Site) -> None:
    """QEMU serves one listener: whoever looked would make the trial fail."""
    consoles.buy(running.ports, "lab-a-01", ConsoleKind.SERIAL, view_only=True)
    with running.ports.database.write() as work:
        work.guests.update(replace(work.guests.one("lab-a-01"), purpose=Purpose.CANARY))
        work.commit()
    with pytest.raises(Conflict):
        consoles.buy(running.ports, "lab-a-01", ConsoleKind.SERIAL, view_only=True)
    consoles.buy(running.ports, "lab-a-01", SCREEN, view_only=False)


def test_a_ticket_is_bound_to_person_and_sign_in(running: Site) -> None:
    ports = person(running, Role.TEACHER)
    for thief in (person(running, Role.TEACHER, sign_in="s2"), running.ports):
        ticket = consoles.buy(ports, "lab-a-01", SCREEN, view_only=False).ticket
        with pytest.raises(NotAllowed):
            consoles.spend(thief, ticket)
        with pytest.raises(NotAllowed):
            consoles.spend(ports, ticket)
    ticket = consoles.buy(ports, "lab-a-01", SCREEN, view_only=False).ticket
    assert consoles.spend(person(running, Role.TEACHER), ticket).guest == "lab-a-01"
    assert ticket not in repr(running.ports.consoles.__dict__)


def test_rights_that_are_taken_between_and_while(running: Site) -> None:
    ports, poorer = person(running, Role.TEACHER), person(running, Role.VIEWER)
    ticket = consoles.buy(ports, "lab-a-01", SCREEN, view_only=False).ticket
    with pytest.raises(NotAllowed, match="console"):
        consoles.spend(poorer, ticket)
    console = consoles.spend(ports, consoles.buy(ports, "lab-a-01", SCREEN, view_only=False).ticket)
    consoles.check(ports, console)
    with pytest.raises(NotAllowed):
        consoles.check(poorer, console)


def test_another_run_is_another_console(running: Site) -> None:
    ports = person(running, Role.TEACHER)
    ticket = consoles.buy(ports, "lab-a-01", SCREEN, view_only=False).ticket
    console = consoles.spend(ports, consoles.buy(ports, "lab-a-01", SCREEN, view_only=False).ticket)
    with running.ports.database.write() as work:
        row = work.guests.one("lab-a-01")
        assert row.run is not None
        work.guests.update(replace(row, generation=row.generation + 1, run=replace(row.run, generation=row.generation + 1)))
        work.commit()
    with pytest.raises(Conflict, match="started anew"):
        consoles.spend(ports, ticket)
    with pytest.raises(Conflict, match="started anew"):
        consoles.check(ports, console)


def test_a_guest_that_is_off_has_none(site: Site) -> None:
    with pytest.raises(NotFound):
        consoles.buy(site.ports, "lab-a-01", SCREEN, view_only=True)
    power.start(site.ports, "lab-a-01")
    with pytest.raises(GuestNotReady):
        consoles.buy(site.ports, "lab-a-01", SCREEN, view_only=True)
    site.move(GuestState.STARTING)
    site.move(GuestState.RUNNING)
    consoles.buy(site.ports, "lab-a-01", SCREEN, view_only=True)
    site.move(GuestState.SILENT)
    with pytest.raises(GuestNotReady):
        consoles.buy(site.ports, "lab-a-01", SCREEN, view_only=True)


def test_so_many_tickets_wait(running: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, bert = person(running, Role.TEACHER), person(running, Role.TEACHER, sign_in="s2")
    for _ in range(console_tickets.PER_PERSON):
        consoles.buy(anna, "lab-a-01", SCREEN, view_only=True)
    with pytest.raises(TooManyRequests):
        consoles.buy(anna, "lab-a-01", SCREEN, view_only=True)
    consoles.buy(bert, "lab-a-01", SCREEN, view_only=True)
    monkeypatch.setattr(console_tickets, "MOST", console_tickets.PER_PERSON + 1)
    with pytest.raises(Exhausted):
        consoles.buy(bert, "lab-a-01", SCREEN, view_only=True)
    running.clock.go(console_tickets.LIFE_SECONDS)
    consoles.buy(anna, "lab-a-01", SCREEN, view_only=True)


def test_history_says_who_looked(running: Site) -> None:
    ports = person(running, Role.TEACHER)
    for kind, view_only in ((SCREEN, True), (ConsoleKind.SERIAL, False)):
        consoles.spend(ports, consoles.buy(ports, "lab-a-01", kind, view_only=view_only).ticket)
    with running.ports.database.read() as work:
        told = [entry.what for entry in work.audit.last(10, "lab-a-01")]
    assert "anna looks at its screen" in told
    assert "anna opened its serial line" in told
