# SPDX-License-Identifier: MIT
"""The terminal's three requests: its question, its ticket, its heartbeat (docs/reference/terminal-protocol.md).

A question is read-only while nothing must change: thousands of terminals ask at once. Who asks is found by finding.py,
whether a guest must be wanted by the rule `asks_for_start`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address

from labvirt.contracts.database import Heartbeat, UnitOfWork
from labvirt.contracts.engine import DisplayTicket
from labvirt.domain import caller, placement
from labvirt.domain.answer import Answer, for_stranger, for_terminal
from labvirt.domain.attendance import TOUCHED_SECONDS
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.domain.image import Image
from labvirt.domain.lab import Lab
from labvirt.domain.lease import owner
from labvirt.domain.message import notice_now
from labvirt.domain.names import one_line
from labvirt.domain.power_order import OrderState, PowerOrder, PowerWord
from labvirt.domain.profile import Profile
from labvirt.domain.terminal import Terminal
from labvirt.errors import Conflict, DatabaseError, EngineAway, GuestNotReady, InvalidInput, NotAllowed, NotFound
from labvirt.usecases import draining, enrol, finding, leaving, orders, settings
from labvirt.usecases.ports import Ports

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 300

HISTORY_LOOKED_AT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a question came to. `terminal` is None for a stranger; `guest` is None while none is wanted."""

    answer: Answer
    terminal: Terminal | None
    guest: Guest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A known terminal with everything its answer is made of, read in one unit of work."""

    terminal: Terminal
    lab: Lab
    guest: Guest | None
    profile: Profile | None
    refusal: str


def ask(ports: Ports, id: str | None, source: IPv4Address | None) -> Asked:
    """What this terminal hears now; afterwards the guest of its seat is wanted if `asks_for_start` says so, and the
    engine was poked.

    `id` is a MAC address, an IP address, an inventory number or a terminal's name; None: the source address is the
    id. Whoever is not known waits in the inbox afterwards. Raises InvalidInput when there is neither id nor source,
    DatabaseError.
    """
    found = finding.find(ports, id, source)
    now = ports.clock.now()
    if found.terminal is not None:
        ports.witness.saw(found.terminal.name, "asked", now)
    if found.terminal is None:
        stranger = enrol.meet(ports, id=found.id, mac=found.mac, address=source)
        return Asked(answer=for_stranger(stranger), terminal=None, guest=None)
    with ports.database.read() as work:
        seen = look(work, found.terminal)
        doubt = _second_address(work, seen, found.by_mac, source)
        if not doubt and not _must_write(work, seen, now):
            return Asked(answer=_answer(ports, work, seen, source), terminal=seen.terminal, guest=seen.guest)
    try:
        return _write(ports, found, now, source)
    except DatabaseError as error:
        if doubt or not error.retryable:
            raise
        # Too many write at once: the terminal asks again in a moment, and is told until then what is so.
        log.info("%s waits for the database: %s", found.terminal.name, error)
        with ports.database.read() as work:
            answer = _answer(ports, work, replace(seen, guest=None), source)
        return Asked(answer=answer, terminal=seen.terminal, guest=None)


def _write(ports: Ports, found: finding.Found, now: datetime, source: IPv4Address | None) -> Asked:
    """The wish of this terminal is written down, and whatever else its question brings."""
    assert found.terminal is not None
    with ports.database.write() as work:
        terminal = work.terminals.get(found.terminal.name)
        if terminal is None:
            raise NotFound("terminal", found.terminal.name)
        seen = look(work, terminal)
        doubt = _second_address(work, seen, found.by_mac, source)
        if doubt:
            ports.note(work, terminal.name, doubt, noun="terminal", lab=terminal.lab)
        wanted = _must_write(work, seen, now)
        if wanted:
            seen = _want(ports, work, seen, now)
        answer = _answer(ports, work, seen, source)
        work.commit()
    if wanted:
        ports.poke()
    return Asked(answer=answer, terminal=seen.terminal, guest=seen.guest)


def asks_for_start(guest: Guest | None, now: datetime) -> bool:
    """Does a question of its active terminal make this guest wanted (again)?

    - none yet: yes.
    - stopped, by a verb, by the policy when the viewer left, or by itself: yes. Somebody switched the PC on; who
      wants a seat to stay off makes its terminal inactive (`labvirt terminal set NAME --inactive`).
    - still on its way to be stopped: no, the question after that starts it. A stop is never turned round half way.
    - failed: only after a pause of 5 s * 2^failures, at most 300 s, so that a kiosk that asks for ever does not wear
      the host out.
    - anything else is wanted already, or lives.
    """
    if guest is None:
        return True
    if guest.state is GuestState.FAILED:
        pause = min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2 ** min(guest.failures, 10))
        return now - guest.since >= timedelta(seconds=pause)
    return guest.state is GuestState.STOPPED


def ticket(ports: Ports, id: str | None, source: IPv4Address | None) -> DisplayTicket:
    """A new single-use secret for the display of this terminal's guest (SPICE) or for its user's login (RDP), minted by the engine; the
    one before is worthless then.

    Only for the address whose live lease belongs to this terminal's MAC. Raises NotFound (unknown terminal),
    NotAllowed, Conflict (the viewer needs no ticket, or the guest's agent refuses), GuestNotReady, AgentSilent,
    TooManyRequests (more than 10 in 60 s), EngineAway, DatabaseError.
    """
    terminal = proven(ports, id, source)
    if not terminal.active:
        raise NotAllowed(
            f"The terminal {terminal.name} is switched off by the administrator.",
            hint=f"labvirt terminal set {terminal.name} --active",
        )
    with ports.database.read() as work:
        seen = look(work, terminal)
    guest, profile = seen.guest, seen.profile
    if guest is None or not guest.ready or profile is None:
        raise GuestNotReady(seen.lab.guest_name(terminal.seat), str(guest.state) if guest else "not started")
    if not profile.needs_ticket:
        raise Conflict(
            f"{guest.name} speaks {profile.protocol}: its viewer needs no ticket.",
            hint=f"Connect as the answer's arguments say. To have a password minted: labvirt profile set {profile.name} --user ACCOUNT",
        )
    ports.tickets.step(terminal.name, f"The ticket of {terminal.name}", ports.clock.monotonic())
    assert source is not None
    minted = ports.engine.mint_display(guest.name, source)
    ports.witness.saw(terminal.name, "ticket", ports.clock.now())
    return minted


def heartbeat(
    ports: Ports,
    id: str | None,
    source: IPv4Address | None,
    *,
    viewer: str,
    viewer_exit: int | None = None,
    viewer_seconds: int | None = None,
    kiosk: str = "",
    error: str = "",
    goodbye: PowerWord | None = None,
    order_done: int | None = None,
    order_refused: int | None = None,
    touched_seconds: int | None = None,
) -> PowerOrder | None:
    """What the kiosk says of itself is kept, as its word, within a second or so (beats.py); the order that waits for it, if any, is given.
    After a `goodbye` there is none. `touched_seconds`: so long ago somebody touched its keyboard or mouse; a guest that waits for its turn
    has it sooner then (`in_front`). Raises NotFound, NotAllowed, InvalidInput, EngineAway, DatabaseError.
    """
    if viewer not in ("none", "starting", "running", "ended"):
        raise InvalidInput("viewer", "must be one of none, starting, running, ended")
    terminal = proven(ports, id, source, lately=True)
    beat = Heartbeat(
        terminal=terminal.name,
        at=ports.clock.now(),
        viewer=viewer,
        viewer_exit=viewer_exit,
        viewer_seconds=viewer_seconds,
        kiosk=one_line(kiosk, 40),
        error=one_line(error),
    )
    ports.beats.put(ports.database, beat)
    for number, state in ((order_done, OrderState.DONE), (order_refused, OrderState.REFUSED)):
        if number is not None:
            orders.confirm(ports, terminal.name, number, state)
    if goodbye is not None:
        leaving.goodbye(ports, terminal, goodbye)
        return None
    with ports.database.read() as work:
        departure, order = work.departures.get(terminal.name), work.orders.open_of(terminal.name)
        guest = work.guests.get(work.labs.one(terminal.lab).guest_name(terminal.seat)) if touched_seconds is not None else None
    if guest is not None and touched_seconds is not None:
        in_front(ports, guest, touched_seconds)
    if departure is not None and departure.ended_by(beat.at):
        leaving.back(ports, terminal.name)
    return orders.give(ports, order) if order is not None and order.due(beat.at) else None


def in_front(ports: Ports, guest: Guest, seconds: int) -> None:
    """Somebody is in front of this guest's terminal, if it waits: the engine knows, unless it is away (it is told again)."""
    if guest.wish is not Wish.RUNNING or guest.state not in (GuestState.WANTED, GuestState.STARTING) or seconds > TOUCHED_SECONDS:
        return
    with suppress(EngineAway):
        ports.engine.in_front(guest.name, max(0, seconds))


def proven(ports: Ports, id: str | None, source: IPv4Address | None, *, lately: bool = False) -> Terminal:
    """The known terminal, if the request comes from the address that DHCP gave to its MAC: now, or `lately` (leased.py). Where the campus
    gives the addresses, the engine tells the computed one in its place (EngineLink.leases)."""
    found = finding.find(ports, id, source)
    terminal = found.terminal
    if terminal is None:
        raise NotFound("terminal", found.id)
    if source is None or terminal.mac is None:
        raise NotAllowed(
            f"The terminal {terminal.name} cannot be recognised by its lease.",
            hint=f"Give it its MAC address: labvirt terminal set {terminal.name} --mac ADDRESS",
        )
    now = ports.clock.now()
    if lately:
        held = ports.leased.held(ports.engine, terminal.lab, source, terminal.mac, now, ports.clock.monotonic())
    else:
        held = owner(ports.engine.leases(terminal.lab), source, now) == terminal.mac
    if not held:
        with ports.database.read() as work:
            lab = work.labs.one(terminal.lab)
        if lab.foreign_dhcp:
            raise NotAllowed(
                f"The address {source} is not that of the terminal {terminal.name}.",
                hint=f"The campus gives the addresses of {lab.name}: its server needs the settings of: labvirt lab dhcp {lab.name}",
            )
        raise NotAllowed(
            f"The address {source} does not hold the lease of the terminal {terminal.name}.",
            hint="Only the terminal itself gets this, from the address that this controller's DHCP gave it.",
        )
    return terminal


def look(work: UnitOfWork, terminal: Terminal) -> Seen:
    """This terminal and what its answer is made of, now. A living guest keeps the profile it runs, whatever would be
    chosen now.
    """
    lab = work.labs.one(terminal.lab)
    return seen_as(work, terminal, lab, work.guests.get(lab.guest_name(terminal.seat)), lambda: choose(work, lab, terminal))


def seen_as(work: UnitOfWork, terminal: Terminal, lab: Lab, guest: Guest | None, choice_of: Callable[[], placement.Choice]) -> Seen:
    """The same for who has read lab and guest already; `choice_of` is asked only where nothing lives."""
    if terminal.seat > lab.max_instances and not (guest and guest.alive):
        refusal = f"the lab {lab.name} has computers for the seats 1 to {lab.max_instances} only"
        return Seen(terminal=terminal, lab=lab, guest=guest, profile=None, refusal=refusal)
    if guest is not None and guest.alive and guest.profile is not None:
        profile = work.profiles.get(guest.profile)
        return Seen(terminal=terminal, lab=lab, guest=guest, profile=profile, refusal="")
    choice = choice_of()
    refusal = "" if choice.profile is not None or (guest and guest.alive) else refusal_of(choice)
    return Seen(terminal=terminal, lab=lab, guest=guest, profile=choice.profile, refusal=refusal)


def choose(work: UnitOfWork, lab: Lab, terminal: Terminal | None, seat: int | None = None) -> placement.Choice:
    """What placement says now, from this unit of work. `seat` (default: the terminal's) is the one it is asked for: its own guest is
    not counted among the others.
    """
    images: dict[str, Image] = {image.name: image for image in work.images.list()}
    profiles = work.profiles.list()
    seat = seat if seat is not None or terminal is None else terminal.seat
    counted = any(profile.max_guests is not None for profile in profiles)
    guests = _guests_per_profile(work, lab, seat) if counted else {}
    return placement.choose(lab, terminal, profiles, images, held=draining.held(work), guests=guests)


def _guests_per_profile(work: UnitOfWork, lab: Lab, seat: int | None) -> Mapping[str, int]:
    """How many others each profile has now: those that live, and those on their way whose profile is known already."""
    own = None if seat is None else lab.guest_name(seat)
    there = (guest for guest in work.guests.list() if guest.name != own and guest.profile is not None)
    return Counter(guest.profile for guest in there if guest.profile and (guest.alive or guest.state in _ON_THE_WAY))


_ON_THE_WAY = (GuestState.WANTED, GuestState.STARTING, GuestState.STOPPING)


def refusal_of(choice: placement.Choice) -> str:
    """Why nothing can be started, as one sentence without a full stop."""
    if not choice.verdicts:
        return "there is no profile yet"
    first = choice.verdicts[0]
    if len(choice.verdicts) == 1:
        return f"the profile {first.profile}: {first.why}"
    return f"none of the {len(choice.verdicts)} profiles can be started ({first.profile}: {first.why})"


def _must_write(work: UnitOfWork, seen: Seen, now: datetime) -> bool:
    if not seen.terminal.active or seen.refusal:
        return False
    if asks_for_start(seen.guest, now):
        return not leaving.is_gone(work, seen.terminal.name, now)
    return seen.guest is not None and seen.guest.wish is Wish.RUNNING and seen.guest.terminal != seen.terminal.name


def _want(ports: Ports, work: UnitOfWork, seen: Seen, now: datetime) -> Seen:
    terminal, lab = seen.terminal, seen.lab
    if seen.guest is None:
        guest = first_guest(lab, terminal.seat, now, terminal=terminal.name)
        work.guests.add(guest)
    else:
        guest = seen.guest.wanted(now, terminal=terminal.name)
        if guest.generation != seen.guest.generation:
            guest = replace(guest, cdrom="", boot_cdrom=False)  # an installation is for who put the disc in, not for the next one
        work.guests.update(guest)
    if seen.guest is None or guest.generation != seen.guest.generation:
        ports.note(
            work,
            guest.name,
            f"wanted: its terminal {terminal.name} asked",
            verb="start",
            noun="guest",
            lab=guest.lab,
            by=caller.terminal(terminal.name),
        )
    return Seen(terminal=terminal, lab=lab, guest=guest, profile=seen.profile, refusal="")


def _second_address(work: UnitOfWork, seen: Seen, by_mac: bool, source: IPv4Address | None) -> str:
    """The sentence for the history when this MAC is used from an address that is not its own and that was not noted
    yet; else empty.

    Two machines with one MAC, or somebody who borrows a name: nobody is refused the answer (it holds no secret), and
    the ticket rule decides who gets a screen.
    """
    lab, terminal = seen.lab, seen.terminal
    if not by_mac or source is None or source not in lab.network.network or source == lab.network.gateway:
        return ""
    first, last = lab.network.quarantine
    own = lab.network.terminal(terminal.seat) if terminal.seat <= lab.network.capacity else None
    if source == own or first <= source <= last:
        return ""  # a terminal that was adopted a moment ago keeps its quarantine address until its lease ends
    what = f"its MAC was also used from {source}: is there a second machine with this MAC"
    if any(entry.what == what for entry in work.audit.last(HISTORY_LOOKED_AT, terminal.name)):
        return ""
    return what


def _answer(ports: Ports, work: UnitOfWork, seen: Seen, source: IPv4Address | None) -> Answer:
    effective = settings.of_terminal(work, seen.terminal)
    now, guest = ports.clock.now(), seen.guest
    if guest is not None:
        guest = replace(guest, notice=notice_now(guest, work.messages.get(guest.name), now))
    return for_terminal(
        terminal=seen.terminal,
        lab=seen.lab,
        terminal_class=work.classes.one(seen.terminal.terminal_class),
        guest=guest,
        profile=seen.profile,
        refusal=seen.refusal,
        settings=tuple((each.setting.key, each.value) for each in effective if each.setting.key != "allow"),
        allowed=settings.allowed(effective),
        expect_seconds=ports.starts.rest(work, seen.guest, seen.profile, now, ports.clock.monotonic()),
        source=source,
    )
