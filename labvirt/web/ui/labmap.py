# SPDX-License-Identifier: MIT
"""The map of a lab: its rooms as they are, each seat where it stands; choosing seats, and acts on them with a plan beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.guest import Purpose
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.domain.room import DEEPEST, ROOM_NAME_LENGTH, WIDEST
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import bulk, rooms
from labvirt.usecases.bulk import SeatAct, Why
from labvirt.web.ui import layout, seats
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import marked, ngettext
from labvirt.web.ui.looking import Looking, fragment
from labvirt.web.ui.retold import retold

PICTURES = 60
"""In a lab with at most so many seats pictures are shown unless somebody hides them."""

ACTS = {
    SeatAct.START: (marked("Start"), "player-play"),
    SeatAct.SHUTDOWN: (marked("Shut down"), "power"),
    SeatAct.RESET: (marked("Reset"), "refresh"),
    SeatAct.FRESH: (marked("Fresh machine"), "sparkles"),
}
WHY = {
    Why.WILL: marked("will be done"),
    Why.RUNS: marked("it runs already"),
    Why.OFF: marked("it is off"),
    Why.STOPPING: marked("it is being shut down already"),
    Why.INACTIVE: marked("its terminal is switched off by the administrator"),
    Why.NOTHING: marked("nothing can be started there"),
    Why.NOT_READY: marked("it is not ready: only what runs can be reset"),
    Why.EMPTY: marked("there is no such seat"),
    Why.FAILED: marked("it was refused"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A seat at its place. `dim`: the filter does not mean it."""

    seat: seats.Seat
    x: int
    y: int
    dim: bool


def blueprint(looking: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("labmap", __name__, url_prefix="/labs/<lab>")

    @pages.get("")
    def page(lab: str) -> str:
        return render_template("labmap.html", **_seen(lab), acts=ACTS, widest=WIDEST, deepest=DEEPEST, longest=ROOM_NAME_LENGTH)

    @pages.get("/seats")
    def part(lab: str) -> Response:
        return fragment(render_template("labmap_rooms.html", **_seen(lab)))

    @pages.post("/places")
    def place(lab: str) -> Response:
        """One seat was moved; answers which places changed."""
        told = request.form
        moved = rooms.move(g.ports, lab, _number("seat"), room=told.get("room", "")[: ROOM_NAME_LENGTH + 1], x=_number("x"), y=_number("y"))
        return jsonify(places=[{"seat": each.seat, "room": each.room, "x": each.x, "y": each.y} for each in moved])

    @pages.post("/rooms")
    def room(lab: str) -> AnyResponse:
        told = request.form
        name = told.get("room", "")
        looking.lab(lab)
        try:
            if told.get("do") == "remove":
                rooms.remove(g.ports, lab, name)
                layout.told(_("The room %s is gone.") % name)
            elif told.get("do") == "size":
                rooms.change(g.ports, lab, name, columns=_number("columns"), rows=_number("rows"))
                layout.told(_("The room has its new size."))
            else:
                rooms.add(g.ports, lab, name, columns=_number("columns"), rows=_number("rows"))
                layout.told(_("The room %s is there. Move seats into it with Edit the map.") % one_line(name))
        except LabVirtError as error:
            layout.refused(error)
        return redirect(url_for("labmap.page", lab=lab, edit="1"), 303)

    @pages.post("/plan")
    def plan(lab: str) -> str:
        """What an act would come to, before it is done."""
        act = _act()
        told = bulk.plan(g.ports, lab, act, chosen_seats())
        return render_template("plan.html", lab=lab, act=act, acts=ACTS, plan=told, why=WHY, will=sum(each.will for each in told))

    @pages.post("/acts")
    def act(lab: str) -> AnyResponse:
        wanted = _act()
        came = bulk.do(g.ports, lab, wanted, chosen_seats(), by=layout.name_of_caller())
        done = sum(each.will for each in came)
        said = ngettext("%(act)s: %(done)d seat.", "%(act)s: %(done)d seats.", done) % {"act": _(ACTS[wanted][0]), "done": done}
        left = [f"{each.guest}: {_(WHY[each.why])}{f' ({retold(each.detail)})' if each.detail else ''}" for each in came if not each.will]
        layout.told(f"{said} {' '.join(left[:8])}{' …' if len(left) > 8 else ''}".strip())
        return redirect(layout.back(url_for("labmap.page", lab=lab)), 303)

    def _seen(lab: str) -> dict[str, Any]:
        overview, view = looking.lab(lab)
        engine = overview.engine is not None
        part = seats.lab_part(view, overview.at, engine=engine)
        by_seat = {each.seat: each for each in part.seats}
        tone, words = request.args.get("show", ""), one_line(request.args.get("q", ""), 64).casefold()
        chart = [
            (plan, [_tile(by_seat[place.seat], place.x, place.y, tone, words) for place in plan.places])
            for plan in rooms.of_lab(g.ports, lab, by_seat)
        ]
        pictures = request.args.get("pictures", "1" if len(by_seat) <= PICTURES else "0") == "1" and layout.may(Right.WATCH, lab)
        return {
            "lab": part,
            "campus_answers": view.lab.foreign_dhcp,
            "chart": chart,
            "engine_problem": not engine,
            "pictures": pictures,
            "tone": tone,
            "words": words,
            "signs": seats.SIGNS,
            "drafts": [each for each in view.specials if each.guest.purpose is Purpose.ADMIN],
        }

    return pages


def _tile(seat: seats.Seat, x: int, y: int, tone: str, words: str) -> Tile:
    shown = (not tone or seat.tone == tone) and (not words or words in f"{seat.guest} {seat.terminal} {seat.disks}".casefold())
    return Tile(seat=seat, x=x, y=y, dim=not shown)


def _act() -> SeatAct:
    try:
        return SeatAct(request.form.get("do", ""))
    except ValueError as error:
        raise InvalidInput("do", f"must be one of {', '.join(SeatAct)}") from error


def chosen_seats() -> list[int]:
    """The numbers that the form was sent with. Raises InvalidInput."""
    return [_whole(text, "seats") for text in request.form.getlist("seats")]


def _number(field: str) -> int:
    return _whole(request.form.get(field, ""), field)


def _whole(text: str, field: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise InvalidInput(field, "must be a whole number")
    return int(text)
