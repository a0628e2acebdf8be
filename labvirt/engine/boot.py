# SPDX-License-Identifier: MIT
"""Guests that are started before anybody asks: seats 1 to `start_instances` of each lab, once per boot of the host."""

from __future__ import annotations

import logging

from labvirt.contracts.database import HistoryEntry
from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.domain.lab import Lab
from labvirt.engine.world import World

log = logging.getLogger(__name__)

FACT = "started-at-boot:"


def start_early(world: World, labs: tuple[Lab, ...], living: frozenset[str]) -> bool:
    """The guests are wanted, durably; a second call in the same boot changes nothing (a restarted engine does not start again what
    somebody has stopped). Guests in `living` are left as they are. True when something was written. Raises DatabaseError."""
    eager = [lab for lab in labs if lab.start_instances]
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
        for seat in range(1, lab.start_instances + 1):
            name = lab.guest_name(seat)
            terminal = work.terminals.at_seat(lab.name, seat)
            row = work.guests.get(name)
            if name in living or (terminal is not None and not terminal.active):
                continue
            if row is None:
                row = Guest(
                    name=name,
                    lab=lab.name,
                    seat=seat,
                    wish=Wish.RUNNING,
                    generation=1,
                    state=GuestState.WANTED,
                    since=now,
                    terminal=terminal.name if terminal else None,
                    asked_at=now,
                )
                work.guests.add(row)
            else:
                wanted = row.wanted(now, terminal=terminal.name if terminal else None)
                if wanted == row:
                    continue
                work.guests.update(wanted)
            work.history.add(HistoryEntry(at=now, subject=name, what=f"wanted: {lab.name} starts {lab.start_instances} early"))
        work.facts.put(FACT + lab.name, boot)
        work.commit()
    log.info("%s: seats 1 to %d are started before anybody asks", lab.name, lab.start_instances)
