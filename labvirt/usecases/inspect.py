# SPDX-License-Identifier: MIT
"""Looking without touching: the overview of all seats, and why one seat has the guest it has. Frozen values for
pages, tables and JSON.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import IPv4Address

from labvirt.contracts.database import Heartbeat, UnitOfWork
from labvirt.contracts.engine import EngineStatus, Presence
from labvirt.domain import placement
from labvirt.domain.addresses import MacAddress
from labvirt.domain.answer import Answer, for_terminal
from labvirt.domain.audit import Entry
from labvirt.domain.findings import Finding
from labvirt.domain.guest import Guest, Purpose
from labvirt.domain.hardware import Hardware, judge
from labvirt.domain.host import Host
from labvirt.domain.image import DiskChoice
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.lease import Lease
from labvirt.domain.placement import Verdict
from labvirt.domain.power_policy import Departure
from labvirt.domain.profile import Profile
from labvirt.domain.right import Right
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.errors import EngineAway, LabVirtError
from labvirt.usecases import asking, leased, power, seats, specials, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskView:
    """One disk of a guest: what its run uses, and what the next start would use (None: nothing can be started)."""

    place: int
    now: DiskChoice | None
    next: DiskChoice | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatView:
    """One seat: its terminal (None: only a guest was started there), its guest (None: never wanted), and every sign
    of life apart.

    `answer` is what the terminal hears now. Ages are in seconds, by the controller's clock, never negative.
    """

    seat: int
    identity: SeatIdentity | None
    """None when the seat does not fit the lab's network any more."""
    terminal: Terminal | None
    terminal_address: IPv4Address | None
    terminal_lease: Lease | None
    guest: Guest | None
    guest_lease: Lease | None
    guest_seconds: int | None
    """How long the guest has been in its state."""
    answer: Answer | None
    presence: Presence | None
    heartbeat: Heartbeat | None
    heartbeat_seconds: int | None
    queue_place: int | None
    """1 is next; None when it does not wait for its turn."""
    disks: tuple[DiskView, ...] = ()
    """What its guest runs from and what the next start would use; empty while nothing runs and nothing can be started."""
    versions: str = ""
    """The same as words, while a guest lives: 'tiny v12, v13 at next start'."""
    departure: Departure | None = None
    """Its terminal's goodbye, while it has not come back."""
    poor: tuple[Finding, ...] = ()
    """What is poor about its terminal's hardware, as far as it tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialView:
    """A guest that belongs to no seat: an admin session, a canary, a rescue. `subject`: its draft, its job or its run."""

    guest: Guest
    identity: SeatIdentity
    subject: str
    versions: str
    seconds: int
    presence: Presence | None
    lease: Lease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabView:
    """One lab with its seats by number. `leases_problem` says why leases are not shown, if so."""

    lab: Lab
    seats: tuple[SeatView, ...]
    leases_problem: str = ""
    specials: tuple[SpecialView, ...] = ()
    """Those that live or are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """Everything the first page shows. `engine` None: it is away, `engine_problem` says how."""

    at: datetime
    engine: EngineStatus | None
    engine_problem: str
    labs: tuple[LabView, ...]
    strangers: tuple[Stranger, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why this seat has this guest. `rule` is one sentence; `command_line` is empty when `command_problem` says why."""

    name: str
    at: datetime
    lab: Lab
    seat: int
    identity: SeatIdentity
    terminal: Terminal | None
    guest: Guest | None
    rule: str
    verdicts: tuple[Verdict, ...]
    profile: Profile | None
    """Of the run when one lives, else what the next start would take."""
    disks: tuple[DiskView, ...]
    versions: str
    """As words, while it lives: 'tiny v12, v13 at next start'."""
    lease: Lease | None
    lease_problem: str
    host: Host | None
    command_line: tuple[str, ...]
    command_problem: str
    answer: Answer | None
    history: tuple[Entry, ...]


@needs(Right.LOOK, each=True)
def overview(
    ports: Ports,
    presences: Mapping[str, Presence] | None = None,
    *,
    before: Overview | None = None,
    changed: Collection[str] = (),
) -> Overview:
    """All labs and seats as they are now. `presences` is what the caller last heard from the engine (`watch`), by guest.

    With `before`, what the same caller saw a moment ago, only the labs in `changed` and new ones are read; everything else, strangers
    and the engine too, stays as it was then. Leases may be some seconds old. An engine that is away leaves leases, queue and presence
    empty and is said. Raises DatabaseError only.
    """
    now = ports.clock.now()
    engine, problem = (before.engine, before.engine_problem) if before is not None else _status(ports)
    if engine is not None and not ports.caller.may(Right.LOOK, None):
        engine = replace(engine, findings=())  # they name what belongs to others
    queue = {name: place for place, name in enumerate(engine.queue if engine else (), 1)}
    kept = {view.lab.name: view for view in before.labs if view.lab.name not in changed} if before is not None else {}
    with ports.database.read() as work:
        shown = visible(ports, work.labs.list(), lambda lab: whose.lab(work, lab.name))
        due = frozenset(lab.name for lab in shown if lab.name not in kept)
        everything = _read(work, due, len(shown)) if due else None
        read = {
            lab.name: (_seats(work, lab, now, presences or {}, queue, everything), _specials(lab, now, presences or {}, everything))
            for lab in shown
            if everything is not None and lab.name in due
        }
        if before is not None:
            strangers = before.strangers
        else:
            there = visible(ports, work.strangers.list(), lambda stranger: whose.of_stranger(work, stranger))
            strangers = tuple(sorted(there, key=lambda s: s.last_seen, reverse=True))
    labs = []
    for lab in shown:
        if lab.name not in read:
            labs.append(kept[lab.name])
            continue
        taken, apart = read[lab.name]
        leases, why = _leases(ports, lab, leased.SECONDS if before is None else leased.LONG_SECONDS) if engine else ((), problem)
        by_mac = {lease.mac: lease for lease in leases}
        labs.append(
            LabView(
                lab=lab,
                seats=tuple(_with_leases(seat, by_mac) for seat in taken),
                leases_problem=why,
                specials=tuple(replace(special, lease=by_mac.get(special.identity.mac)) for special in apart),
            )
        )
    return Overview(at=now, engine=engine, engine_problem=problem, labs=tuple(labs), strangers=strangers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """What the seats of some labs are made of, read once for all of them. Terminals and guests by lab, the rest by terminal."""

    terminals: Mapping[str, Sequence[Terminal]]
    guests: Mapping[str, Sequence[Guest]]
    beats: Mapping[str, Heartbeat]
    reports: Mapping[str, Hardware]
    departures: Mapping[str, Departure]
    choose: seats.Chooser


def _read(work: UnitOfWork, labs: Collection[str], of_all: int) -> _Rows:
    """One lab alone is asked for by its name; many are cheaper to sort than to ask for one by one."""
    terminals: dict[str, list[Terminal]] = defaultdict(list)
    guests: dict[str, list[Guest]] = defaultdict(list)
    few = len(labs) * 4 <= of_all
    for terminal in (each for lab in labs for each in work.terminals.of_lab(lab)) if few else work.terminals.list():
        terminals[terminal.lab].append(terminal)
    for guest in (each for lab in labs for each in work.guests.of_lab(lab)) if few else work.guests.list():
        guests[guest.lab].append(guest)
    return _Rows(
        terminals=terminals,
        guests=guests,
        beats={beat.terminal: beat for beat in work.heartbeats.list()},
        reports={report.terminal: report.hardware for report in work.hardware.list()},
        departures={departure.terminal: departure for departure in work.departures.list()},
        choose=seats.chooser(work),
    )


@needs(Right.LOOK, guest="name")
def explain(ports: Ports, name: str) -> Explanation:
    """Why the seat of this guest or terminal has this guest, down to the command line. Raises NotFound,
    DatabaseError.
    """
    now = ports.clock.now()
    with ports.database.read() as work:
        lab, seat, terminal = power.seat_of(work, name)
        identity = lab.identity(seat)
        guest = work.guests.get(identity.guest)
        living = guest is not None and guest.alive
        special = guest is not None and guest.purpose is not Purpose.SEAT
        choice = asking.choose(work, lab, terminal, seat) if not special else _fixed(work, guest)
        profile = work.profiles.get(guest.profile) if guest and living and guest.profile else choice.profile
        hosts = work.hosts.list()
        host = work.hosts.get(guest.host) if guest and guest.host else hosts[0] if len(hosts) == 1 else None
        history = work.audit.last(10, identity.guest)
        answer = _answer(work, lab, terminal, guest, choice)
    leases, lease_problem = _leases(ports, lab, leased.SECONDS)
    command, command_problem = _command_line(ports, identity.guest, living)
    return Explanation(
        name=identity.guest,
        at=now,
        lab=lab,
        seat=seat,
        identity=identity,
        terminal=terminal,
        guest=guest,
        rule=_rule(lab, terminal, choice.verdicts) if not special else _special_rule(guest),
        verdicts=choice.verdicts,
        profile=profile,
        disks=_disks(guest.disks if guest else (), choice.disks),
        versions=seats.version_words(guest.disks if guest and living else (), choice.disks),
        lease=next((lease for lease in leases if lease.mac == identity.mac), None),
        lease_problem=lease_problem,
        host=host,
        command_line=command,
        command_problem=command_problem,
        answer=answer,
        history=history,
    )


def _seats(
    work: UnitOfWork, lab: Lab, now: datetime, presences: Mapping[str, Presence], queue: Mapping[str, int], rows: _Rows
) -> list[SeatView]:
    terminals = {terminal.seat: terminal for terminal in rows.terminals.get(lab.name, ())}
    guests = {guest.seat: guest for guest in rows.guests.get(lab.name, ()) if guest.purpose is Purpose.SEAT}
    beats, reports, departures = rows.beats, rows.reports, rows.departures
    views = []
    for seat in sorted(terminals.keys() | guests.keys()):
        terminal, guest = terminals.get(seat), guests.get(seat)
        beat = beats.get(terminal.name) if terminal else None
        fits = seat <= lab.network.capacity
        running = guest.disks if guest is not None and guest.alive else ()
        choice = rows.choose(lab, terminal, guest)
        coming = choice.disks
        views.append(
            SeatView(
                seat=seat,
                identity=lab.identity(seat) if fits else None,
                terminal=terminal,
                terminal_address=lab.network.terminal(seat) if terminal and fits else None,
                terminal_lease=None,
                guest=guest,
                guest_lease=None,
                guest_seconds=_age(now, guest.since) if guest else None,
                answer=_answer(work, lab, terminal, guest, choice),
                presence=presences.get(guest.name) if guest else None,
                heartbeat=beat,
                heartbeat_seconds=_age(now, beat.at) if beat else None,
                queue_place=queue.get(guest.name) if guest else None,
                disks=_disks(running, coming),
                versions=seats.version_words(running, coming),
                departure=departures.get(terminal.name) if terminal else None,
                poor=judge(reports[terminal.name], terminal.name) if terminal and terminal.name in reports else (),
            )
        )
    return views


def _answer(work: UnitOfWork, lab: Lab, terminal: Terminal | None, guest: Guest | None, choice: placement.Choice) -> Answer | None:
    if terminal is None:
        return None
    seen = asking.seen_as(work, terminal, lab, guest, lambda: choice)
    return for_terminal(
        terminal=terminal,
        lab=lab,
        terminal_class=work.classes.one(terminal.terminal_class),
        guest=guest,
        profile=seen.profile,
        refusal=seen.refusal,
    )


def _specials(lab: Lab, now: datetime, presences: Mapping[str, Presence], rows: _Rows) -> tuple[SpecialView, ...]:
    return tuple(
        SpecialView(
            guest=guest,
            identity=lab.identity(guest.seat),
            subject=guest.source,
            versions=seats.version_words(guest.disks, ()),
            seconds=_age(now, guest.since),
            presence=presences.get(guest.name),
        )
        for guest in rows.guests.get(lab.name, ())
        if guest.purpose is not Purpose.SEAT and not specials.is_off(guest)
    )


def _with_leases(view: SeatView, by_mac: Mapping[MacAddress, Lease]) -> SeatView:
    return replace(
        view,
        terminal_lease=by_mac.get(view.terminal.mac) if view.terminal and view.terminal.mac else None,
        guest_lease=by_mac.get(view.identity.mac) if view.identity else None,
    )


def _rule(lab: Lab, terminal: Terminal | None, verdicts: tuple[Verdict, ...]) -> str:
    taken = next((verdict for verdict in verdicts if verdict.taken), None)
    if taken is None:
        return "no profile can be started here"
    who = f"terminal {terminal.name}" if terminal else f"lab {lab.name}"
    return f"{who} gets {taken.profile}: {taken.why}"


def _fixed(work: UnitOfWork, guest: Guest | None) -> placement.Choice:
    """A special guest chooses nothing: profile and disks are in its row."""
    profile = work.profiles.get(guest.profile) if guest is not None and guest.profile is not None else None
    return placement.Choice(profile=profile, disks=guest.disks if guest else (), verdicts=())


def _special_rule(guest: Guest | None) -> str:
    if guest is None or specials.is_off(guest):
        return "this is the number of a special guest, and free"
    what = {
        Purpose.ADMIN: "the admin session of the draft",
        Purpose.CANARY: "the canary of",
        Purpose.RESCUE: "the rescue of the run",
        Purpose.TEMPLATE: "the template of",
    }
    return f"{what.get(guest.purpose, 'for')} {guest.source}: its profile and its disks were fixed when it was wanted"


def _disks(now: tuple[DiskChoice, ...], later: tuple[DiskChoice, ...]) -> tuple[DiskView, ...]:
    current = {disk.place: disk for disk in now}
    coming = {disk.place: disk for disk in later}
    return tuple(DiskView(place=place, now=current.get(place), next=coming.get(place)) for place in sorted(current.keys() | coming.keys()))


def _status(ports: Ports) -> tuple[EngineStatus | None, str]:
    try:
        return ports.engine.status(), ""
    except EngineAway as error:
        return None, error.sentence


CAMPUS_GIVES = "the campus gives this lab's addresses, and its leases are not seen here"


def _leases(ports: Ports, lab: Lab, oldest: float) -> tuple[tuple[Lease, ...], str]:
    if lab.foreign_dhcp:
        return (), CAMPUS_GIVES
    try:
        return ports.leased.seen(ports.engine, lab.name, ports.clock.monotonic(), oldest), ""
    except LabVirtError as error:
        return (), error.sentence


def _command_line(ports: Ports, guest: str, living: bool) -> tuple[tuple[str, ...], str]:
    if not living:
        return (), "it does not run"
    try:
        return ports.engine.command_line(guest), ""
    except LabVirtError as error:
        return (), error.sentence


def _age(now: datetime, then: datetime) -> int:
    return max(0, int((now - then).total_seconds()))
