# SPDX-License-Identifier: MIT
"""The first page in words: what is shown of each seat. An Overview goes in, plain text in the reader's language comes out.

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
from labvirt.web.ui.language import current, marked, ngettext
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.retold import retold
from labvirt.web.ui.screens import shows

SILENT_KIOSK_SECONDS = 30
"""A kiosk speaks every 10 s (docs/reference/terminal-protocol.md, section 3)."""

LOOKS: dict[GuestState, tuple[str, str, str]] = {
    GuestState.WANTED: ("wait", "waits", marked("waiting for its turn")),
    GuestState.STARTING: ("busy", "starts", marked("starting")),
    GuestState.RUNNING: ("good", "runs", marked("running")),
    GuestState.CONNECTED: ("used", "used", marked("in use")),
    GuestState.PAUSED: ("wait", "paused", marked("paused")),
    GuestState.SILENT: ("bad", "silent", marked("does not answer")),
    GuestState.STOPPING: ("busy", "stops", marked("stopping")),
    GuestState.STOPPED: ("off", "off", marked("off")),
    GuestState.FAILED: ("bad", "failed", marked("failed")),
}
"""State -> tone (colour), sign (in static/signs.svg), words."""

POOR = {"terminal-memory": marked("little memory"), "terminal-link": marked("slow network"), "terminal-screen": marked("no screen")}
"""What domain.hardware finds, so short that it fits on a seat."""

TONES = ("used", "good", "busy", "wait", "bad", "off")
SIGNS = {"used": "used", "good": "runs", "busy": "starts", "wait": "waits", "bad": "failed", "off": "off"}
"""The sign that stands for each tone where seats are counted."""
COUNTED = {
    "used": marked("in use"),
    "good": marked("running"),
    "busy": marked("on the way"),
    "wait": marked("waiting"),
    "bad": marked("in trouble"),
    "off": marked("off"),
}


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
    """`counts` are (tone, number, words), only those that occur; `specials` is a sentence for each guest that belongs to no seat. `size` is
    how many seats there are, also where they are only counted."""

    name: str
    network: str
    seats: tuple[Seat, ...]
    counts: tuple[tuple[str, int, str], ...]
    size: int = 0
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


def first_page(seen: Overview, *, cards: bool = True) -> FirstPage:
    """The page of this overview; without `cards` seats are counted only."""
    engine = seen.engine
    return FirstPage(
        engine_problem="" if engine else retold(seen.engine_problem) or _("The engine does not answer."),
        notice=retold(engine.notice) if engine else "",
        driver=f"engine {engine.version}, {engine.driver}, {engine.accelerator}" if engine else "",
        findings=engine.findings if engine else (),
        labs=tuple(lab_part(lab, seen.at, engine=engine is not None, cards=cards) for lab in seen.labs),
        inbox=tuple(_inbox(stranger, seen.at) for stranger in seen.strangers),
        read_at=seen.at.strftime("%H:%M:%S"),
    )


def age(seconds: int) -> str:
    """A duration for people: one unit, two for hours."""
    if seconds < 60:
        return _("%d s") % seconds
    if seconds < 3600:
        return _("%d min") % (seconds // 60)
    if seconds < 86400:
        return _("%d h %02d min") % (seconds // 3600, seconds % 3600 // 60)
    days = seconds // 86400
    return ngettext("%d day", "%d days", days) % days


def one(view: LabView, seat: int, now: datetime, *, engine: bool) -> Seat:
    """One seat of this lab in words; it is there."""
    return _seat(next(each for each in view.seats if each.seat == seat), view, now, engine)


def lab_part(view: LabView, now: datetime, *, engine: bool, cards: bool = True) -> LabPart:
    """One lab in words; without `cards` its seats are counted only."""
    seats = tuple(_seat(seat, view, now, engine) for seat in view.seats) if cards else ()
    tones = Counter(seat.tone for seat in seats) if cards else Counter(_look(seat)[0] for seat in view.seats)
    return LabPart(
        name=view.lab.name,
        network=f"{view.lab.network.network}{', ' + _('addresses by the campus') if view.lab.foreign_dhcp else ''}",
        seats=seats,
        counts=tuple((tone, tones[tone], _(COUNTED[tone])) for tone in TONES if tones[tone]),
        size=len(view.seats),
        specials=tuple(_special(special) for special in view.specials),
    )


def _special(view: SpecialView) -> str:
    what = {
        Purpose.ADMIN: _("admin session"),
        Purpose.CANARY: _("canary"),
        Purpose.RESCUE: _("rescue"),
        Purpose.TEMPLATE: _("template"),
    }.get(view.guest.purpose, _("guest"))
    disks = f", {view.versions}" if view.versions else ""
    why = f": {retold(view.guest.reason)}" if view.guest.reason else ""
    state = f"{_(LOOKS[view.guest.state][2])} {_('for %(age)s') % {'age': age(view.seconds)}}"
    return f"{view.guest.name}: {what} {view.subject}{disks}, {state}{why}"


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
        tone, sign, words = LOOKS[guest.state]
        return tone, sign, _(words)
    if answer is not None and answer.status is Status.INACTIVE and view.terminal is not None and not view.terminal.active:
        return "off", "off", _("switched off by the administrator")
    if answer is not None and answer.status is Status.FAILED:
        return "bad", "failed", _("cannot be started")
    return "off", "off", _("off") if guest is not None else _("never started")


def _waits(view: SeatView) -> str:
    """What it waits for, or why it is so; one sentence, or nothing."""
    guest, answer = view.guest, view.answer
    if guest is None or guest.state is GuestState.STOPPED:
        return retold(answer.message) if answer is not None and answer.status is Status.FAILED else ""
    reason = retold(guest.reason.removeprefix("full:").strip())
    if guest.state is GuestState.WANTED:
        place = _("%(ordinal)s in the queue") % {"ordinal": _ordinal(view.queue_place)} if view.queue_place else ""
        return _("Waits for: %s") % "; ".join(part for part in (reason or ("" if place else _("its turn")), place) if part)
    if guest.state in (GuestState.STARTING, GuestState.STOPPING):
        return _("Waits for: %s") % reason if reason else ""
    if guest.state is GuestState.FAILED:
        again = " " + _("(%d starts failed in a row)") % guest.failures if guest.failures > 1 else ""
        return _("Why: %s") % (reason or _("nobody said")) + again
    if guest.wish is Wish.STOPPED:
        return _("To be stopped: %s") % _stop(guest)
    if guest.due_at is not None:
        return _("Told: %s") % retold(guest.notice)
    return _("Why: %s") % reason if reason else ""


def _stop(guest: Guest) -> str:
    if guest.stop_how is StopHow.SHUTDOWN:
        return _("asked to shut down")
    return _("being switched off") if guest.stop_how is StopHow.STOP else _("being killed")


def _address(address: object, lease: Lease | None, lab: LabView, now: datetime, expected: bool) -> Address:
    shown = str(address)
    if lab.lab.foreign_dhcp:
        return Address(address=shown, lease=_("given by the campus"), odd=False)
    if lab.leases_problem:
        return Address(address=shown, lease=_("lease not known now"), odd=False)
    if lease is None:
        return Address(address=shown, lease=_("no lease seen yet") if expected else _("no lease"), trouble=expected)
    if not lease.valid(now):
        return Address(address=shown, lease=_("lease is over"), trouble=expected)
    if lease.address != address:
        return Address(address=shown, lease=_("but leased %s") % lease.address, trouble=True)
    return Address(address=shown, lease=_("lease seen"), odd=False)


def _seen(view: SeatView, now: datetime, engine: bool) -> list[Seen]:
    """Who is connected and how we know it: what the display said, what the wire showed, what the kiosk claims."""
    signs: list[Seen] = []
    guest, presence = view.guest, view.presence
    if guest is not None and guest.alive:
        if not engine:
            signs.append(Seen(how="none", words=_("Who is connected is not known now")))
        else:
            signs += _watched(presence, now)
    signs += _claimed(view, now, alive=guest is not None and guest.alive)
    if view.poor:
        poor = ", ".join(_(POOR.get(each.code, each.code)) for each in view.poor)
        signs.append(Seen(how="kiosk", words=_("Terminal says: %s") % poor, trouble=True))
    return signs


def _claimed(view: SeatView, now: datetime, *, alive: bool) -> list[Seen]:
    """What the terminal's kiosk says, or that it says nothing."""
    beat, departure = view.heartbeat, view.departure
    if departure is not None:
        gone = _("switched off") if departure.word is PowerWord.SHUTDOWN else _("restarting")
        ago = _("(%s ago)") % age(max(0, int((now - departure.at).total_seconds())))
        return [Seen(how="kiosk", words=f"{_('Terminal says: %s') % gone} {ago}")]
    if beat is None or view.heartbeat_seconds is None:
        return []
    trouble = [Seen(how="kiosk", words=_("Terminal says: %s") % beat.error, trouble=True)] if beat.error else []
    if view.heartbeat_seconds > SILENT_KIOSK_SECONDS:
        return [Seen(how="kiosk", words=_("Terminal not heard for %s") % age(view.heartbeat_seconds)), *trouble]
    if beat.viewer == "none" and not alive:
        return []  # what else could it say
    words = {"none": _("no viewer"), "starting": _("viewer starts"), "running": _("viewer runs"), "ended": _("viewer ended")}
    said = words.get(beat.viewer, beat.viewer)
    if beat.viewer == "ended" and beat.viewer_exit is not None:
        said += " " + _("(exit code %d)") % beat.viewer_exit
    return [Seen(how="kiosk", words=_("Terminal says: %s") % said), *trouble]


def _watched(presence: Presence | None, now: datetime) -> list[Seen]:
    signs = []
    if presence is not None:
        since = " " + _("for %(age)s") % {"age": age(max(0, int((now - presence.since).total_seconds())))} if presence.since else ""
        if presence.display:
            signs.append(
                Seen(how="display", words=f"{_('Viewer %s') % (presence.peer or _('connected'))}{since} {_('(display)')}", sure=True)
            )
        if presence.flow:
            who = presence.peer if not presence.display and presence.peer else _("connected")
            signs.append(Seen(how="flow", words=f"RDP {who}{'' if presence.display else since} {_('(network)')}", sure=True))
    return signs or [Seen(how="none", words=_("Nobody connected"))]


def _inbox(stranger: Stranger, now: datetime) -> Inbox:
    seconds = max(0, int((now - stranger.last_seen).total_seconds()))
    return Inbox(code=stranger.code, id=stranger.id, address=str(stranger.address or _("unknown")), age=age(seconds))


def _ordinal(number: int) -> str:
    if current() != "en":
        return f"{number}."
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
