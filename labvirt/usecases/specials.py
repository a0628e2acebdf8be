# SPDX-License-Identifier: MIT
"""The sixteen special guests of a lab: admin sessions, canaries, rescued seats. Who wants one takes a number here.

A row is used again when its guest is off and nobody wants it, so what a row says of itself (purpose, source) is compared
before anything is done to it. Profile and disks are fixed here: the engine chooses nothing for special guests.
"""

from __future__ import annotations

from dataclasses import replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.addresses import LAST_SEAT, SEATS_PER_BLOCK, SPECIALS
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.lab import Lab
from labvirt.errors import Exhausted
from labvirt.usecases.ports import Ports

OFF = frozenset({GuestState.STOPPED, GuestState.FAILED})


def take(
    ports: Ports,
    work: UnitOfWork,
    lab: Lab | str,
    *,
    purpose: Purpose,
    profile: str,
    disks: tuple[DiskChoice, ...],
    source: str = "",
    cdrom: str = "",
    boot_cdrom: bool = False,
) -> Guest:
    """The special guest of the lowest free number is wanted, with this profile and these disks, when `work` is committed; the caller
    commits, and pokes the engine. Raises Exhausted('seats') when all sixteen are taken, NotFound (lab)."""
    place = work.labs.one(lab) if isinstance(lab, str) else lab
    now = ports.clock.now()
    seat, old = free(ports, work, place)
    name = place.guest_name(seat)
    if old is None:
        fresh = Guest(
            name=name, lab=place.name, seat=seat, wish=Wish.RUNNING, generation=1, state=GuestState.WANTED, since=now, asked_at=now
        )
    else:
        fresh = old.wanted(now, fresh=True)
    guest = replace(
        fresh,
        purpose=purpose,
        profile=profile,
        disks=disks,
        source=source,
        cdrom=cdrom,
        boot_cdrom=boot_cdrom,
        terminal=None,
        stop_how=StopHow.SHUTDOWN,
        running_at=None,
    )
    if old is None:
        work.guests.add(guest)
    else:
        work.guests.update(guest)
    ports.note(work, name, f"wanted: {purpose}{f' of {source}' if source else ''} ({profile})", verb="start", noun="guest", lab=guest.lab)
    return guest


def release(
    ports: Ports, work: UnitOfWork, name: str, how: StopHow = StopHow.STOP, *, purpose: Purpose | None = None, source: str | None = None
) -> Guest | None:
    """The special guest is no longer wanted when `work` is committed; the engine stops it as `how` says. None, and nothing is changed, when
    the row is not (any more) that of this purpose and source. The caller commits, and pokes."""
    guest = work.guests.get(name)
    if guest is None or guest.purpose is Purpose.SEAT:
        return None
    if (purpose is not None and guest.purpose is not purpose) or (source is not None and guest.source != source):
        return None
    if is_off(guest):
        return guest
    after = guest.unwanted(how)
    if after is not guest:
        work.guests.update(after)
        ports.note(work, name, f"no longer wanted ({how})", verb="stop", noun="guest", lab=guest.lab)
    return after


def is_off(guest: Guest) -> bool:
    """Off, and nobody wants it on."""
    return guest.wish is Wish.STOPPED and guest.state in OFF


def free(ports: Ports, work: UnitOfWork, lab: Lab) -> tuple[int, Guest | None]:
    """The number that `take` would take, and who had it. One whose last run's folder was not cleared away yet comes last: what lies there
    is kept or removed by what its row says. Raises Exhausted('seats')."""
    # A session whose guest was shut down from inside keeps its number: its draft is open, and says where it is.
    held = {draft.guest for draft in work.drafts.list() if draft.state is DraftState.OPEN}
    taken, littered = [], []
    for seat in range(LAST_SEAT + 1, SEATS_PER_BLOCK):
        guest = work.guests.get(lab.guest_name(seat))
        if guest is not None and (not is_off(guest) or guest.name in held):
            taken.append(guest)
        elif guest is not None and guest.run is not None and ports.disks.open_run(guest.run) is not None:
            littered.append((seat, guest))
        else:
            return seat, guest
    if littered:
        return littered[0]
    kinds = sorted({str(guest.purpose) for guest in taken})
    raise Exhausted(
        "seats",
        f"All {SPECIALS} special guests of the lab {lab.name} are taken ({', '.join(kinds)}).",
        hint="End a session or a rescue first: labvirt admin list; labvirt rescue list",
    )
