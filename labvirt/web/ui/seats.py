# SPDX-License-Identifier: MIT
"""The first page in words: what is shown of each seat. Pure; an Overview goes in, plain text comes out.

State is told three times over (word, sign, colour). Every sign that somebody is connected stays apart, with who says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from labvirt.contracts.engine import Presence
from labvirt.domain.answer import Status
from labvirt.domain.findings import Finding
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.lease import Lease
from labvirt.domain.power_order import PowerWord
from labvirt.domain.terminal import Stranger
from labvirt.usecases.inspect import LabView, Overview, SeatView, SpecialView
from labvirt.web.ui.screens import shows

SILENT_KIOSK_SECONDS = 30
"""A kiosk speaks every 10 s (docs/reference/terminal-protocol.md, section 3)."""

LOOKS: dict[GuestState, tuple[str, str, str]] = {
    GuestState.WANTED: ("wait", "waits", "waiting for its turn"),
    GuestState.STARTING: ("busy", "starts", "starting"),
    GuestState.RUNNING: ("good", "runs", "running"),
    GuestState.CONNECTED: ("used", "used", "in use"),
    GuestState.PAUSED: ("wait", "paused", "paused"),
    GuestState.SILENT: ("bad", "silent", "does not answer"),
    GuestState.STOPPING: ("busy", "stops", "stopping"),
    GuestState.STOPPED: ("off", "off", "off"),
    GuestState.FAILED: ("bad", "failed", "failed"),
}
"""State -> tone (colour), sign (in static/signs.svg), words."""

POOR = {"terminal-memory": "little memory", "terminal-link": "slow network", "terminal-screen": "no screen"}
"""What domain.hardware finds, so short that it fits on a seat."""

TONES = ("used", "good", "busy", "wait", "bad", "off")
COUNTED = {"used": "in use", "good": "running", "busy": "on the way", "wait": "waiting", "bad": "in trouble", "off": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One sign of life. `how` is display, flow, kiosk or none; `sure` says that we saw it ourselves."""

    how: str
    words: str
    sure: bool = False
    trouble: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """`lease` says whether DHCP really gave it out; `odd`: worth reading, `trouble`: not as it should be."""

    address: str
    lease: str
    odd: bool = True
    trouble: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    seat: int
    guest: str
    terminal: str
    tone: str
    sign: str
    state: str
    age: str
    waits: str
    guest_address: Address | None
    terminal_address: Address | None
    seen: tuple[Seen, ...]
    disks: str
    picture: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPart:
    """`counts` are (tone, number, words), only those that occur; `specials` is a sentence for each guest that belongs to no seat."""

    name: str
    network: str
    seats: tuple[Seat, ...]
    counts: tuple[tuple[str, int, str], ...]
    specials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbox:
    code: str
    id: str
    address: str
    age: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPage:
    """`engine_problem` is not empty when the engine is away; `driver` is empty then."""

    engine_problem: str
    notice: str
    driver: str
    findings: tuple[Finding, ...]
    labs: tuple[LabPart, ...]
    inbox: tuple[Inbox, ...]
    read_at: str


def first_page(seen: Overview) -> FirstPage:
    """The page of this overview."""
    engine = seen.engine
    return FirstPage(
        engine_problem="" if engine else seen.engine_problem or "The engine does not answer.",
        notice=engine.notice if engine else "",
        driver=f"engine {engine.version}, {engine.driver}, {engine.accelerator}" if engine else "",
        findings=engine.findings if engine else (),
        labs=tuple(_lab(lab, seen.at, engine is not None) for lab in seen.labs),
        inbox=tuple(_inbox(stranger, seen.at) for stranger in seen.strangers),
        read_at=seen.at.strftime("%H:%M:%S"),
    )


def age(seconds: int) -> str:
    """A duration for people: one unit, two for hours."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    days = seconds // 86400
    return f"{days} day{'' if days == 1 else 's'}"


def _lab(view: LabView, now: datetime, engine: bool) -> LabPart:
    seats = tuple(_seat(seat, view, now, engine) for seat in view.seats)
    tones = Counter(seat.tone for seat in seats)
    return LabPart(
        name=view.lab.name,
        network=f"{view.lab.network.network}{', addresses by the campus' if view.lab.foreign_dhcp else ''}",
        seats=seats,
        counts=tuple((tone, tones[tone], COUNTED[tone]) for tone in TONES if tones[tone]),
        specials=tuple(_special(special) for special in view.specials),
    )


def _special(view: SpecialView) -> str:
    what = {Purpose.ADMIN: "admin session", Purpose.CANARY: "canary", Purpose.RESCUE: "rescue"}.get(view.guest.purpose, "guest")
    disks = f", {view.versions}" if view.versions else ""
    why = f": {view.guest.reason}" if view.guest.reason else ""
    return f"{view.guest.name}: {what} {view.subject}{disks}, {LOOKS[view.guest.state][2]} for {age(view.seconds)}{why}"


def _seat(view: SeatView, lab: LabView, now: datetime, engine: bool) -> Seat:
    tone, sign, state = _look(view)
    guest = view.guest
    alive = guest is not None and guest.alive
    return Seat(
        seat=view.seat,
        guest=lab.lab.guest_name(view.seat),
        terminal=view.terminal.name if view.terminal else "",
        tone=tone,
        sign=sign,
        state=state,
        age=age(view.guest_seconds) if view.guest_seconds is not None else "",
        waits=_waits(view),
        guest_address=_address(view.identity.address, view.guest_lease, lab, now, alive) if view.identity else None,
        terminal_address=_address(view.terminal_address, view.terminal_lease, lab, now, False) if view.terminal_address else None,
        seen=tuple(_seen(view, now, engine)),
        disks=view.versions if alive else "",
        picture=engine and guest is not None and shows(guest),
    )


def _look(view: SeatView) -> tuple[str, str, str]:
    guest, answer = view.guest, view.answer
    if guest is not None and (guest.state is not GuestState.STOPPED or answer is None):
        return LOOKS[guest.state]
    if answer is not None and answer.status is Status.INACTIVE and view.terminal is not None and not view.terminal.active:
        return "off", "off", "switched off by the administrator"
    if answer is not None and answer.status is Status.FAILED:
        return "bad", "failed", "cannot be started"
    return "off", "off", "off" if guest is not None else "never started"


def _waits(view: SeatView) -> str:
    """What it waits for, or why it is so; one sentence, or nothing."""
    guest, answer = view.guest, view.answer
    if guest is None or guest.state is GuestState.STOPPED:
        return answer.message if answer is not None and answer.status is Status.FAILED else ""
    reason = guest.reason.removeprefix("full:").strip()
    if guest.state is GuestState.WANTED:
        place = f"{_ordinal(view.queue_place)} in the queue" if view.queue_place else ""
        return "Waits for: " + "; ".join(part for part in (reason or ("" if place else "its turn"), place) if part)
    if guest.state in (GuestState.STARTING, GuestState.STOPPING):
        return f"Waits for: {reason}" if reason else ""
    if guest.state is GuestState.FAILED:
        again = f" ({guest.failures} starts failed in a row)" if guest.failures > 1 else ""
        return f"Why: {reason or 'nobody said'}{again}"
    if guest.wish is Wish.STOPPED:
        return f"To be stopped: {_stop(guest)}"
    if guest.due_at is not None:
        return f"Told: {guest.notice}"
    return f"Why: {reason}" if reason else ""


def _stop(guest: Guest) -> str:
    if guest.stop_how is StopHow.SHUTDOWN:
        return "asked to shut down"
    return "being switched off" if guest.stop_how is StopHow.STOP else "being killed"


def _address(address: object, lease: Lease | None, lab: LabView, now: datetime, expected: bool) -> Address:
    shown = str(address)
    if lab.lab.foreign_dhcp:
        return Address(address=shown, lease="given by the campus", odd=False)
    if lab.leases_problem:
        return Address(address=shown, lease="lease not known now", odd=False)
    if lease is None:
        return Address(address=shown, lease="no lease seen yet" if expected else "no lease", trouble=expected)
    if not lease.valid(now):
        return Address(address=shown, lease="lease is over", trouble=expected)
    if lease.address != address:
        return Address(address=shown, lease=f"but leased {lease.address}", trouble=True)
    return Address(address=shown, lease="lease seen", odd=False)


def _seen(view: SeatView, now: datetime, engine: bool) -> list[Seen]:
    """Who is connected and how we know it: what the display said, what the wire showed, what the kiosk claims."""
    signs: list[Seen] = []
    guest, presence = view.guest, view.presence
    if guest is not None and guest.alive:
        if not engine:
            signs.append(Seen(how="none", words="Who is connected is not known now"))
        else:
            signs += _watched(presence, now)
    signs += _claimed(view, now, alive=guest is not None and guest.alive)
    if view.poor:
        poor = ", ".join(POOR.get(each.code, each.code) for each in view.poor)
        signs.append(Seen(how="kiosk", words=f"Terminal says: {poor}", trouble=True))
    return signs


def _claimed(view: SeatView, now: datetime, *, alive: bool) -> list[Seen]:
    """What the terminal's kiosk says, or that it says nothing."""
    beat, departure = view.heartbeat, view.departure
    if departure is not None:
        gone = "switched off" if departure.word is PowerWord.SHUTDOWN else "restarting"
        return [Seen(how="kiosk", words=f"Terminal says: {gone} ({age(max(0, int((now - departure.at).total_seconds())))} ago)")]
    if beat is None or view.heartbeat_seconds is None:
        return []
    trouble = [Seen(how="kiosk", words=f"Terminal says: {beat.error}", trouble=True)] if beat.error else []
    if view.heartbeat_seconds > SILENT_KIOSK_SECONDS:
        return [Seen(how="kiosk", words=f"Terminal not heard for {age(view.heartbeat_seconds)}"), *trouble]
    if beat.viewer == "none" and not alive:
        return []  # what else could it say
    words = {"none": "no viewer", "starting": "viewer starts", "running": "viewer runs", "ended": "viewer ended"}
    said = words.get(beat.viewer, beat.viewer)
    if beat.viewer == "ended" and beat.viewer_exit is not None:
        said += f" (exit code {beat.viewer_exit})"
    return [Seen(how="kiosk", words=f"Terminal says: {said}"), *trouble]


def _watched(presence: Presence | None, now: datetime) -> list[Seen]:
    signs = []
    if presence is not None:
        since = f" for {age(max(0, int((now - presence.since).total_seconds())))}" if presence.since else ""
        if presence.display:
            signs.append(Seen(how="display", words=f"Viewer {presence.peer or 'connected'}{since} (display)", sure=True))
        if presence.flow:
            who = presence.peer if not presence.display and presence.peer else "connected"
            signs.append(Seen(how="flow", words=f"RDP {who}{'' if presence.display else since} (network)", sure=True))
    return signs or [Seen(how="none", words="Nobody connected")]


def _inbox(stranger: Stranger, now: datetime) -> Inbox:
    seconds = max(0, int((now - stranger.last_seen).total_seconds()))
    return Inbox(code=stranger.code, id=stranger.id, address=str(stranger.address or "unknown"), age=age(seconds))


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
