# SPDX-License-Identifier: MIT
"""Guests that are started before anybody asks, once per boot of the host; which seats is decided in domain.first_guest."""

from __future__ import annotations

import logging

from labvirt.domain.audit import of_guest
from labvirt.domain.first_guest import early_seats, first_guest
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Profile
from labvirt.engine.world import World
from labvirt.usecases import asking

log = logging.getLogger(__name__)

FACT = "started-at-boot:"


def start_early(world: World, labs: tuple[Lab, ...], profiles: tuple[Profile, ...], living: frozenset[str]) -> bool:
    """The guests are wanted, durably; a second call in the same boot changes nothing (a restarted engine does not start again what
    somebody has stopped). Guests in `living` are left as they are. True when something was written. Raises DatabaseError."""
    early = [profile for profile in profiles if profile.start_guests]
    eager = [lab for lab in labs if lab.start_instances or any(profile.fits(lab.name) for profile in early)]
    if not eager:
        return False
    boot = world.machine.boot_id()
    with world.database.read() as work:
        eager = [lab for lab in eager if work.facts.get(FACT + lab.name) != boot]
    for lab in eager:
        _want(world, lab, boot, living)
    return bool(eager)


def _want(world: World, lab: Lab, boot: str, living: frozenset[str]) -> None:
    now = world.clock.now()
    with world.database.write() as work:
        seats = early_seats(
            lab,
            work.terminals.of_lab(lab.name),
            work.profiles.list(),
            lambda terminal: asking.choose(work, lab, terminal).profile,
        )
        for seat in seats:
            name = lab.guest_name(seat)
            if name in living:
                continue
            terminal = work.terminals.at_seat(lab.name, seat)
            row = work.guests.get(name)
            if row is None:
                work.guests.add(first_guest(lab, seat, now, terminal=terminal.name if terminal else None))
            else:
                wanted = row.wanted(now, terminal=terminal.name if terminal else None)
                if wanted == row:
                    continue
                work.guests.update(wanted)
            work.audit.add(of_guest(now, name, lab.name, f"wanted: {lab.name} starts {len(seats)} early", verb="start"))
        work.facts.put(FACT + lab.name, boot)
        work.commit()
    log.info("%s: %d seats are started before anybody asks", lab.name, len(seats))
