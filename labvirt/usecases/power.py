# SPDX-License-Identifier: MIT
"""Switching guests on and off by a person's word: start, stop (shut down, stop, kill), reset, fresh, with a disc in the drive.

Special guests (admin sessions, canaries, rescues) can be stopped and reset by name; what starts them is their own use case.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.addresses import LAST_SEAT
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.lab import Lab
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import Conflict, GuestNotReady, InvalidInput, NotFound
from labvirt.usecases import asking, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible

PATH_LENGTH = 4096
ADMINISTRATOR = "an administrator"

_SEAT = re.compile(r"(.+)-([0-9]{2,4})\Z", re.ASCII)


@needs(Right.LOOK, each=True, lab="lab")
def guests(ports: Ports, lab: str | None = None) -> tuple[Guest, ...]:
    """All guests that were ever wanted, or those of one lab (NotFound when there is no such lab)."""
    with ports.database.read() as work:
        if lab is None:
            return visible(ports, work.guests.list(), lambda guest: whose.of_guest(work, guest))
        return work.guests.of_lab(work.labs.one(lab).name)


@needs(Right.LOOK, guest="name")
def one(ports: Ports, name: str) -> Guest:
    """By the name of the guest or of its terminal. Raises NotFound, also for a seat that never had a guest."""
    with ports.database.read() as work:
        return _existing(work, name)


@needs(Right.OPERATE, guest="name")
def start(ports: Ports, name: str, *, by: str = ADMINISTRATOR) -> Guest:
    """The guest (by its own name or its terminal's) is wanted afterwards; nothing happens to one that lives.

    Raises NotFound, Conflict (says why no profile can be started here), DatabaseError.
    """
    return _want(ports, name, fresh=False, by=by)


@needs(Right.OPERATE, guest="name")
def fresh(ports: Ports, name: str, *, by: str = ADMINISTRATOR) -> Guest:
    """The guest is wanted with a new run: a living one is replaced, what was written to its disks is forgotten.
    Raises as `start`.
    """
    return _want(ports, name, fresh=True, by=by)


@needs(Right.SITE, site=True)
def run_with_cdrom(ports: Ports, name: str, cdrom: Path | str, *, boot: bool = False) -> Guest:
    """The guest of a seat is wanted with a new run that has this disc image in its first CD-ROM drive (one is added if need be) and, with
    `boot`, begins with it. The disc is there until the next fresh run. Raises as `start`, and InvalidInput (no such file; a special guest).
    """
    return _want(ports, name, fresh=True, cdrom=check_cdrom(cdrom), boot=boot)


def check_cdrom(cdrom: Path | str) -> str:
    """The absolute path of an ordinary file that can be read. Raises InvalidInput."""
    path = os.path.abspath(cdrom)
    if len(path) > PATH_LENGTH or one_line(path, PATH_LENGTH) != path:
        raise InvalidInput("cdrom", "has a name that no disc image should have", hint="For example /srv/iso/debian.iso")
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise InvalidInput("cdrom", f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput("cdrom", f"{path} is not an ordinary file")
    return path


@needs(Right.OPERATE, guest="name")
def stop(ports: Ports, name: str, how: StopHow = StopHow.SHUTDOWN) -> Guest:
    """The guest is no longer wanted; the engine stops it as `how` says. Stopping a stopped guest changes nothing.
    Raises NotFound.
    """
    with ports.database.write() as work:
        guest = _unwant(ports, work, _existing(work, name), how)
        work.commit()
    ports.poke()
    return guest


@needs(Right.OPERATE, guest="name")
def reset(ports: Ports, name: str, *, by: str = ADMINISTRATOR) -> Guest:
    """The reset button was pressed: same run, same disks. Raises NotFound, GuestNotReady, EngineAway, DriverError."""
    with ports.database.read() as work:
        guest = _existing(work, name)
    if not guest.alive:
        raise GuestNotReady(guest.name, str(guest.state))
    ports.engine.reset(guest.name)
    with ports.database.write() as work:
        ports.note(work, guest.name, f"reset by {by}", verb="reset", noun="guest", lab=guest.lab)
        work.commit()
    return guest


@needs(Right.OPERATE, lab="lab")
def start_lab(ports: Ports, lab: str) -> tuple[Guest, ...]:
    """The guest of every seat with an active terminal is wanted. Raises NotFound, and Conflict when not one could be
    started.
    """
    wanted: list[Guest] = []
    with ports.database.write() as work:
        place = work.labs.one(lab)
        known = sorted(work.terminals.of_lab(lab), key=lambda t: t.seat)
        seats = [t for t in known if t.active and t.seat <= place.max_instances]
        refused: Conflict | None = None
        for terminal in seats:
            try:
                wanted.append(_wanted(ports, work, place, terminal.seat, terminal, fresh=False))
            except Conflict as error:
                refused = error
        if not wanted:
            raise refused or Conflict(
                f"The lab {lab} has no active terminal.",
                hint=f"Add one: labvirt terminal add --lab {lab} --mac ADDRESS",
            )
        work.commit()
    ports.poke()
    return tuple(wanted)


@needs(Right.OPERATE, lab="lab")
def stop_lab(ports: Ports, lab: str, how: StopHow = StopHow.SHUTDOWN) -> tuple[Guest, ...]:
    """No guest of the lab's seats is wanted; its special guests stay. Gives those whose wish was changed. Raises NotFound."""
    with ports.database.write() as work:
        work.labs.one(lab)
        changed = []
        for guest in work.guests.of_lab(lab):
            if guest.purpose is not Purpose.SEAT:
                continue
            after = _unwant(ports, work, guest, how)
            if after is not guest:
                changed.append(after)
        work.commit()
    ports.poke()
    return tuple(changed)


def seat_of(work: UnitOfWork, name: str) -> tuple[Lab, int, Terminal | None]:
    """The seat meant by the name of a guest or terminal, whether or not it ever had a guest. Raises NotFound."""
    guest = work.guests.get(name)
    if guest is not None:
        return work.labs.one(guest.lab), guest.seat, work.terminals.at_seat(guest.lab, guest.seat)
    terminal = work.terminals.get(name)
    if terminal is not None:
        return work.labs.one(terminal.lab), terminal.seat, terminal
    match = _SEAT.match(name)
    lab = work.labs.get(match[1]) if match else None
    if match is not None and lab is not None:
        seat = int(match[2])
        if 1 <= seat <= lab.max_instances and lab.guest_name(seat) == name:
            return lab, seat, work.terminals.at_seat(lab.name, seat)
    raise NotFound("guest", name)


def _existing(work: UnitOfWork, name: str) -> Guest:
    lab, seat, _ = seat_of(work, name)
    return work.guests.one(lab.guest_name(seat))


def _want(ports: Ports, name: str, *, fresh: bool, cdrom: str = "", boot: bool = False, by: str = ADMINISTRATOR) -> Guest:
    with ports.database.write() as work:
        lab, seat, terminal = seat_of(work, name)
        if seat > LAST_SEAT:
            raise InvalidInput(
                "guest",
                f"{name} is a special guest: it is started by what it is for",
                hint="A session: labvirt admin start. A rescue: labvirt rescue start. A canary: labvirt version test.",
            )
        guest = _wanted(ports, work, lab, seat, terminal, fresh=fresh, cdrom=cdrom, boot=boot, by=by)
        work.commit()
    ports.poke()
    return guest


def _wanted(
    ports: Ports,
    work: UnitOfWork,
    lab: Lab,
    seat: int,
    terminal: Terminal | None,
    *,
    fresh: bool,
    cdrom: str = "",
    boot: bool = False,
    by: str = ADMINISTRATOR,
) -> Guest:
    now = ports.clock.now()
    name = lab.guest_name(seat)
    old = work.guests.get(name)
    if seat > lab.max_instances:
        raise Conflict(
            f"The lab {lab.name} has computers for the seats 1 to {lab.max_instances} only.",
            hint=f"labvirt lab set {lab.name} --max-instances {seat}",
        )
    if old is None or not old.alive or fresh:
        choice = asking.choose(work, lab, terminal, seat)
        if choice.profile is None:
            raise Conflict(f"{name} cannot be started: {asking.refusal_of(choice)}.", hint=f"See why: labvirt guest explain {name}")
    if old is None:
        guest = Guest(
            name=name,
            lab=lab.name,
            seat=seat,
            wish=Wish.RUNNING,
            generation=1,
            state=GuestState.WANTED,
            since=now,
            terminal=terminal.name if terminal else None,
            asked_at=now,
            cdrom=cdrom,
            boot_cdrom=boot,
        )
        work.guests.add(guest)
    else:
        guest = old.wanted(now, terminal=terminal.name if terminal else None, fresh=fresh)
        if guest.generation != old.generation:
            guest = replace(guest, cdrom=cdrom, boot_cdrom=boot)
        if not guest.alive:
            guest = replace(guest, failures=0)  # a person has mended something: no pause that earlier failures had earned
        if guest == old:
            return old
        work.guests.update(guest)
    what = f"a fresh run was wanted by {by}" if fresh else f"wanted by {by}"
    ports.note(work, name, what + (f", with the disc {cdrom}" if cdrom else ""), verb="start", noun="guest", lab=guest.lab)
    return guest


def _unwant(ports: Ports, work: UnitOfWork, guest: Guest, how: StopHow) -> Guest:
    if guest.wish is Wish.STOPPED and guest.state is GuestState.STOPPED:
        return guest
    after = guest.unwanted(how)
    if after is not guest:
        work.guests.update(after)
        ports.note(work, guest.name, f"to be stopped ({how}) by an administrator", verb="stop", noun="guest", lab=guest.lab)
    return after
