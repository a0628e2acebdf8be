# SPDX-License-Identifier: MIT
"""The seats of labs that have warm pools, or had them, as domain.pool_plan wants to see them: what each would start from now."""

from __future__ import annotations

from collections.abc import Callable

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.guest import Guest
from labvirt.domain.lab import Lab
from labvirt.domain.placement import Choice
from labvirt.domain.pool_plan import Seat
from labvirt.domain.profile import Protocol
from labvirt.domain.terminal import Terminal
from labvirt.engine.observe import Wishes
from labvirt.engine.recording import hands_sticks_over
from labvirt.engine.templates import HostTemplates, Offered
from labvirt.engine.world import World
from labvirt.usecases import asking

NOBODY = 99
"""Rank of a seat without a guest's row: nobody was ever seen there."""


def seats_of(world: World, wishes: Wishes, templates: HostTemplates, rank: Callable[[Guest], int]) -> tuple[Seat, ...]:
    """Every seat of these labs. Raises DatabaseError."""
    labs = {pool.lab for pool in wishes.pools} | {spare.lab for spare in wishes.spares}
    rows = {guest.name: guest for guest in wishes.guests}
    seated = {(terminal.lab, terminal.seat): terminal for terminal in wishes.terminals}
    found = []
    with world.database.read() as work:
        for lab in wishes.labs:
            if lab.name not in labs:
                continue
            looked = _Looked(work, lab, templates, alike=not any(profile.max_guests is not None for profile in wishes.profiles))
            for number in range(1, lab.max_instances + 1):
                terminal = seated.get((lab.name, number))
                row = rows.get(lab.guest_name(number))
                choice = looked.choice(terminal, number)
                offered = looked.offered(choice, terminal, number)
                found.append(
                    Seat(
                        lab=lab.name,
                        number=number,
                        guest=lab.guest_name(number),
                        row=row,
                        profile=choice.profile.name if choice.profile else None,
                        disks=choice.disks,
                        template=str(offered.template.template.name) if offered.template else "",
                        untold=offered.why,
                        rank=rank(row) if row else NOBODY,
                        active=terminal is not None and terminal.active,
                    )
                )
    return tuple(found)


class _Looked:
    """What is the same for many seats of a lab is found out once."""

    def __init__(self, work: UnitOfWork, lab: Lab, templates: HostTemplates, *, alike: bool) -> None:
        """`alike`: placement looks at nothing else of a seat than its terminal's own profile."""
        self._work = work
        self._lab = lab
        self._templates = templates
        self._alike = alike
        self._choices: dict[str | None, Choice] = {}
        self._offers: dict[tuple[str, bool], Offered] = {}

    def choice(self, terminal: Terminal | None, seat: int) -> Choice:
        own = terminal.profile if terminal else None
        if self._alike and own in self._choices:
            return self._choices[own]
        self._choices[own] = asking.choose(self._work, self._lab, terminal, seat)
        return self._choices[own]

    def offered(self, choice: Choice, terminal: Terminal | None, seat: int) -> Offered:
        profile = choice.profile
        if profile is None or not profile.instant_clone:
            return Offered(why="its profile has no instant clones")
        usb = profile.protocol is Protocol.SPICE and hands_sticks_over(self._work, terminal)
        key = profile.name, usb
        if key not in self._offers:
            self._offers[key] = self._templates.current(profile, self._lab, seat, usb=usb, disks=choice.disks)
        return self._offers[key]
