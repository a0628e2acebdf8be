# SPDX-License-Identifier: MIT
"""The page of a terminal and the power page of a lab: what is known of them, and the buttons that switch them. What a terminal says is
shown as its word.
"""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labvirt.domain.hardware import link_words
from labvirt.domain.names import check_name
from labvirt.domain.power_order import Occupied, OrderState, PowerOrder, PowerWord
from labvirt.domain.power_policy import OnPowerOff
from labvirt.domain.power_times import PowerTimes, days_text
from labvirt.errors import InvalidInput
from labvirt.usecases import orders, terminal_view, waking
from labvirt.usecases.terminal_view import TerminalView
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import marked
from labvirt.web.ui.retold import retold
from labvirt.web.ui.seats import SILENT_KIOSK_SECONDS, age

GRACE_SECONDS = 300
DEEDS = ("wake", "restart", "shutdown", "cancel")

_STATES = {
    OrderState.WAITING: marked("waits for its next heartbeat"),
    OrderState.GIVEN: marked("was given and is not confirmed yet"),
    OrderState.DONE: marked("is done"),
    OrderState.REFUSED: marked("was refused"),
    OrderState.EXPIRED: marked("was not taken in time"),
    OrderState.CANCELLED: marked("was called off"),
}


def register(pages: Blueprint) -> None:
    """The routes, on the blueprint of people's pages."""

    @pages.get("/terminal/<name>")
    def terminal(name: str) -> str:
        seen = terminal_view.one(g.ports, check_name(name, "terminal"))
        return render_template("terminal.html", seen=seen, words=_words(seen), grace=GRACE_SECONDS // 60)

    @pages.post("/terminal/<name>/power")
    def terminal_power(name: str) -> Response:
        check_name(name, "terminal")
        deed = _deed()
        if deed == "wake":
            waking.wake(g.ports, name, by=g.ports.caller.name)
        elif deed == "cancel":
            orders.cancel(g.ports, name, by=g.ports.caller.name)
        else:
            grace = GRACE_SECONDS if request.form.get("ask") == "first" else 0
            orders.place(g.ports, name, PowerWord(deed), by=g.ports.caller.name, grace_seconds=grace)
        return redirect(url_for("pages.terminal", name=name), 303)

    @pages.get("/lab/<name>/power")
    def lab_power(name: str) -> str:
        seen = terminal_view.of_lab(g.ports, check_name(name, "lab"))
        rows = [(each, _words(each)) for each in seen.terminals]
        taken = sum(each.occupied for each in seen.terminals)
        return render_template(
            "power.html",
            seen=seen,
            rows=rows,
            taken=taken,
            times=_times(seen.times),
            policy=_policy(seen.on_power_off),
            grace=GRACE_SECONDS // 60,
        )

    @pages.post("/lab/<name>/power")
    def lab_power_deed(name: str) -> Response:
        check_name(name, "lab")
        deed = _deed()
        if deed == "wake":
            waking.wake_lab(g.ports, name, by=g.ports.caller.name)
        elif deed in tuple(PowerWord):
            orders.place_lab(g.ports, name, PowerWord(deed), by=g.ports.caller.name, occupied=_occupied(), grace_seconds=GRACE_SECONDS)
        else:
            raise InvalidInput("do", "must be wake, restart or shutdown")
        return redirect(url_for("pages.lab_power", name=name), 303)


def _deed() -> str:
    deed = request.form.get("do", "")
    if deed not in DEEDS:
        raise InvalidInput("do", f"must be one of {', '.join(DEEDS)}")
    return deed


def _occupied() -> Occupied:
    try:
        return Occupied(request.form.get("occupied", str(Occupied.WARN)))
    except ValueError as error:
        raise InvalidInput("occupied", f"must be one of {', '.join(Occupied)}") from error


def _words(seen: TerminalView) -> dict[str, str]:
    """Plain sentences about one terminal."""
    said = seen.hardware.report.hardware if seen.hardware.report else None
    return {
        "life": _life(seen),
        "order": _order(seen.order, seen.at) if seen.order else "",
        "waits": "yes" if seen.order is not None and seen.order.state is OrderState.WAITING and not seen.order.over(seen.at) else "",
        "machine": " ".join(part for part in (said.vendor, said.product) if part) if said else "",
        "processor": f"{said.cpus or '?'} × {said.cpu or _('unknown')}" if said and (said.cpus or said.cpu) else "",
        "memory": f"{said.memory_mib / 1024:.1f} GB" if said and said.memory_mib else "",
        "screen": "" if said is None or said.screens is None else ", ".join(said.screens) or _("none"),
        "link": f"{link_words(said.link_mbps)}{f' ({said.interface})' if said.interface else ''}" if said and said.link_mbps else "",
        "said": _("%s ago") % age(_seconds(seen.hardware.report.at, seen.at)) if seen.hardware.report else "",
        "policy": _policy(seen.on_power_off),
    }


def _life(seen: TerminalView) -> str:
    if seen.departure is not None:
        gone = age(_seconds(seen.departure.at, seen.at))
        off = seen.departure.word is PowerWord.SHUTDOWN
        return (_("It said %s ago that it is switched off.") if off else _("It said %s ago that it restarts.")) % gone
    if seen.heartbeat is None:
        return _("It has not been heard yet.")
    ago = _seconds(seen.heartbeat.at, seen.at)
    return _("It is on.") if ago <= SILENT_KIOSK_SECONDS else _("It was heard %s ago.") % age(ago)


def _order(order: PowerOrder, now: datetime) -> str:
    state = OrderState.EXPIRED if order.over(now) else order.state
    words = _("The order to %(verb)s by %(who)s %(state)s") % {"verb": order.word.verb, "who": order.asked_by, "state": _(_STATES[state])}
    if state is OrderState.WAITING and order.not_before > now:
        words = f"{words} {_('after %s') % age(_seconds(now, order.not_before))}"
    return f"{words}: {retold(order.why)}." if order.why else f"{words}."


def _policy(policy: OnPowerOff) -> str:
    return _("its guest is stopped") if policy is OnPowerOff.STOP else _("its guest stays")


def _times(times: PowerTimes | None) -> str:
    if times is None or (times.on is None and times.off is None):
        return _("It is not switched by the clock.")
    parts = [_("woken at %s") % f"{times.on:%H:%M}" if times.on else "", _("shut down at %s") % f"{times.off:%H:%M}" if times.off else ""]
    occupied = {
        Occupied.WARN: _("occupied seats are told first"),
        Occupied.SPARE: _("occupied seats are spared"),
        Occupied.NOW: _("occupied seats too"),
    }
    what = _(" and ").join(filter(None, parts))
    told = {"what": what, "days": days_text(times.days), "occupied": occupied[times.occupied]}
    return _("It is %(what)s (%(days)s); %(occupied)s.") % told


def _seconds(earlier: datetime, later: datetime) -> int:
    return max(0, int((later - earlier).total_seconds()))
