# SPDX-License-Identifier: MIT
"""Terminals: registered, changed and removed by an administrator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.addresses import MacAddress
from labvirt.domain.audit import changed, told
from labvirt.domain.lab import Lab
from labvirt.domain.names import NAME_LENGTH, one_line
from labvirt.domain.right import Right
from labvirt.domain.setting import Scope
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import check_parameter
from labvirt.errors import Exhausted, InUse, InvalidInput
from labvirt.usecases import whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import must_see, needs, visible

CHANGEABLE = frozenset({"lab", "seat", "mac", "inventory_id", "terminal_class", "profile", "parameters", "active", "note"})


@needs(Right.LOOK, each=True, lab="lab")
def everything(ports: Ports, lab: str | None = None) -> tuple[Terminal, ...]:
    """All terminals, or those of one lab (NotFound when there is no such lab)."""
    with ports.database.read() as work:
        if lab is None:
            return visible(ports, work.terminals.list(), lambda terminal: whose.lab(work, terminal.lab))
        return work.terminals.of_lab(work.labs.one(lab).name)


@needs(Right.LOOK, terminal="name")
def one(ports: Ports, name: str) -> Terminal:
    """Raises NotFound."""
    with ports.database.read() as work:
        return work.terminals.one(name)


@needs(Right.SEATS, lab="lab")
def add(
    ports: Ports,
    *,
    lab: str,
    seat: int | None = None,
    name: str | None = None,
    mac: MacAddress | None = None,
    inventory_id: str | None = None,
    terminal_class: str = "spice",
    profile: str | None = None,
    parameters: tuple[tuple[str, str], ...] = (),
    active: bool = True,
    note: str = "",
) -> Terminal:
    """A new terminal, at the lowest free seat unless one is given. Raises NotFound, AlreadyExists, InvalidInput,
    Exhausted('seats').
    """
    with ports.database.write() as work:
        place = work.labs.one(lab)
        seat = seat if seat is not None else lowest_free_seat(work, place)
        terminal = Terminal(
            name=name if name is not None else default_name(place, seat),
            lab=lab,
            seat=seat,
            mac=mac,
            inventory_id=inventory_id,
            terminal_class=terminal_class,
            profile=profile,
            parameters=parameters,
            active=active,
            note=one_line(note),
        )
        insert(ports, work, terminal)
        ports.note(work, terminal.name, f"added as seat {seat} of {lab}", verb="add", noun="terminal", lab=lab, after=told(terminal))
        work.commit()
    ports.poke()
    return terminal


@needs(Right.SEATS, terminal="name", lab="lab")
def change(ports: Ports, name: str, **changes: Any) -> Terminal:
    """The terminal with these fields of `CHANGEABLE` replaced. Raises as `add`; InUse when it would leave the seat
    of a living guest.
    """
    assert changes.keys() <= CHANGEABLE, changes
    with ports.database.write() as work:
        old = work.terminals.one(name)
        if "note" in changes:
            changes["note"] = one_line(changes["note"])
        new = replace(old, **changes)
        if (new.lab, new.seat) != (old.lab, old.seat):
            _seat_is_free_of_guests(work, old)
        check(work, new)
        if (new.lab, new.profile) != (old.lab, old.profile):
            _profile_is_for_it(ports, work, new)
        work.terminals.update(new)
        before, after = changed(old, new)
        ports.note(
            work,
            name,
            f"changed: {', '.join(sorted(changes)) or 'nothing'}",
            verb="change",
            noun="terminal",
            lab=new.lab,
            before=before,
            after=after,
        )
        work.commit()
    ports.poke()
    return new


@needs(Right.SEATS, terminal="name")
def remove(ports: Ports, name: str) -> Terminal:
    """The terminal is unknown afterwards. Raises NotFound, and InUse while its guest lives."""
    with ports.database.write() as work:
        terminal = work.terminals.one(name)
        _seat_is_free_of_guests(work, terminal)
        work.terminals.remove(name)
        work.settings.remove(Scope.TERMINAL, name)
        ports.note(
            work,
            name,
            f"removed from seat {terminal.seat} of {terminal.lab}",
            verb="remove",
            noun="terminal",
            lab=terminal.lab,
            before=told(terminal),
        )
        work.commit()
    ports.poke()
    return terminal


def insert(ports: Ports, work: UnitOfWork, terminal: Terminal) -> None:
    """Add a checked terminal in this unit of work."""
    check(work, terminal)
    _profile_is_for_it(ports, work, terminal)
    work.terminals.add(terminal)


def lowest_free_seat(work: UnitOfWork, lab: Lab) -> int:
    """Raises Exhausted('seats') when every seat that gets a guest is taken."""
    taken = {terminal.seat for terminal in work.terminals.of_lab(lab.name)}
    for seat in range(1, lab.max_instances + 1):
        if seat not in taken:
            return seat
    raise Exhausted(
        "seats",
        f"All {lab.max_instances} seats of {lab.name} have a terminal.",
        hint=f"Remove one, or raise the number: labvirt lab set {lab.name} --max-instances N",
    )


def default_name(lab: Lab, seat: int) -> str:
    """The name a terminal gets when nobody chooses one: its host name, shortened to what a name may be."""
    suffix = f"-t{seat:02d}"
    return lab.name[: NAME_LENGTH - len(suffix)].rstrip("-") + suffix


def check(work: UnitOfWork, terminal: Terminal) -> None:
    """It fits its lab, class and profile, and its address is no guest's. Raises NotFound, Exhausted, InvalidInput."""
    lab = work.labs.one(terminal.lab)
    lab.network.terminal(terminal.seat)  # Exhausted when the network has no room for it
    terminal_class = work.classes.one(terminal.terminal_class)
    if terminal.profile is not None:
        work.profiles.one(terminal.profile)
    for parameter, value in terminal.parameters:
        check_parameter(parameter, value)
    terminal_class.check_own(dict(terminal.parameters))
    if terminal.mac is not None:
        for prefix in {each.mac_prefix for each in work.labs.list()}:
            if terminal.mac.value >> 24 == prefix:
                raise InvalidInput(
                    "mac",
                    f"{terminal.mac} begins like the guests' own addresses",
                    hint="Take the address of the terminal's network card; guests' addresses are computed.",
                )


def _profile_is_for_it(ports: Ports, work: UnitOfWork, terminal: Terminal) -> None:
    """Asked when it gets this profile or this lab, and not later: a profile that was taken from the lab since is told by placement."""
    if terminal.profile is None:
        return
    must_see(ports, work, "profile", terminal.profile)
    profile = work.profiles.one(terminal.profile)
    if not profile.fits(terminal.lab):
        raise InvalidInput(
            "profile",
            f"{profile.name} is meant for {', '.join(sorted(profile.labs))}, not for {terminal.lab}",
            hint=f"Take a profile of {terminal.lab}, or clone it.",
        )


def _seat_is_free_of_guests(work: UnitOfWork, terminal: Terminal) -> None:
    guest = work.guests.get(work.labs.one(terminal.lab).guest_name(terminal.seat))
    if guest is not None and guest.alive and guest.terminal == terminal.name:
        raise InUse("terminal", terminal.name, f"the running guest {guest.name}")
