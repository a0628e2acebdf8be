# SPDX-License-Identifier: MIT
"""The first wish for a seat or special number: the row that exists from then on. And which seats are wanted before anybody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from labvirt.domain.guest import Guest, GuestState, Purpose, Wish
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Profile
from labvirt.domain.terminal import Terminal


def first_guest(lab: Lab, seat: int, now: datetime, *, terminal: str | None = None, purpose: Purpose = Purpose.SEAT) -> Guest:
    """The guest of a seat that never had one, wanted since now. Who fixes profile and disks (`purpose` is not SEAT) sets them after."""
    return Guest(
        name=lab.guest_name(seat),
        lab=lab.name,
        seat=seat,
        wish=Wish.RUNNING,
        generation=1,
        state=GuestState.WANTED,
        since=now,
        terminal=terminal,
        asked_at=now,
        purpose=purpose,
    )


def early_seats(
    lab: Lab, terminals: Iterable[Terminal], profiles: Iterable[Profile], chosen: Callable[[Terminal | None], Profile | None]
) -> tuple[int, ...]:
    """The seats that are started with the host: the lab's first `start_instances`, and of each profile the first `start_guests` that
    would get it (`chosen`: what placement gives a terminal, or a seat without one). Seats of inactive terminals are left out. Pure."""
    seated = {terminal.seat: terminal for terminal in terminals if terminal.lab == lab.name}
    seats = set(range(1, lab.start_instances + 1))
    left = {profile.name: profile.start_guests for profile in profiles if profile.start_guests and profile.fits(lab.name)}
    default: list[Profile | None] = []
    for seat in range(1, lab.max_instances + 1):
        if not any(left.values()):
            break
        terminal = seated.get(seat)
        if terminal is not None and not terminal.active:
            continue
        if terminal is not None and terminal.profile is not None:
            profile = chosen(terminal)
        else:  # placement looks at nothing else of a terminal
            default = default or [chosen(None)]
            profile = default[0]
        if profile is not None and left.get(profile.name, 0) > 0:
            left[profile.name] -= 1
            seats.add(seat)
    return tuple(sorted(seat for seat in seats if seat not in seated or seated[seat].active))
