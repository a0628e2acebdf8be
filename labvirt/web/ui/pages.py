# SPDX-License-Identifier: MIT
"""The routes that people's browsers use: first page, its fragment and pictures, terminals, the door, health."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.caller import CallerKind
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import EngineAway, LabVirtError, NotFound
from labvirt.usecases import boots, watching
from labvirt.usecases.ports import Ports
from labvirt.web.published import Published
from labvirt.web.ui import account, boot_chart, guard, once_more, seats, sign_in, terminals
from labvirt.web.ui.guard import Guard
from labvirt.web.ui.layout import may
from labvirt.web.ui.looking import Looking, fragment
from labvirt.web.ui.recent import Recent
from labvirt.web.ui.refusal import refusal
from labvirt.web.ui.screens import Screens

HEALTH_SECONDS = 1.0
PATIENCE_SECONDS = 10.0
CARDS = 60
"""So many seats are shown one by one on the first page; beyond, each lab says how many it has of what, and has its map."""


def blueprint(ports: Ports, published: Published, looking: Looking, at_door: Guard) -> Blueprint:
    """All routes, and the guard before every request of the whole application."""
    pages = Blueprint("pages", __name__)
    screens = Screens(ports.engine, ports.clock)
    engine_answers: Recent[bool] = Recent(ports.clock, seconds=HEALTH_SECONDS, patience=PATIENCE_SECONDS)

    @pages.before_app_request
    def deny_by_default() -> AnyResponse | None:
        guard.check_origin(request)
        g.ports = ports.on_behalf_of(at_door.caller_of_request(request))
        if guard.must_enrol(request, g.ports.caller):
            return account.enrol_first()
        if guard.may_pass(request, g.ports.caller):
            return once_more.given() if g.ports.caller.kind is CallerKind.PERSON else None
        if request.endpoint == "pages.first":
            return redirect(url_for("pages.door"), 303)
        return refusal(guard.NOT_SIGNED_IN, 401, {})

    @pages.get("/")
    def first() -> str:
        return render_template("first.html", labs=_labs())

    terminals.register(pages)

    @pages.get("/labs")
    def labs() -> Response:
        return fragment(_labs())

    def _labs() -> str:
        seen = looking.overview()
        cards = sum(len(lab.seats) for lab in seen.labs) <= CARDS
        page = seats.first_page(seen, cards=cards)
        return render_template("labs.html", page=page, cards=cards, signs=seats.SIGNS, inbox=may(Right.SEATS), site=may(Right.SITE))

    @pages.get("/labs/<lab>/boots")
    def lab_boots(lab: str) -> str:
        return render_template("boots.html", chart=boot_chart.chart(boots.of_lab(g.ports, one_line(lab, 64))))

    @pages.get("/guests/<guest>/screen.png")
    def screen(guest: str) -> Response:
        watching.may_watch(g.ports, one_line(guest, 64))
        known = published.change(guest)
        if known is None or not may(Right.WATCH, known.guest.lab):
            raise NotFound("guest", one_line(guest, 64))
        picture = screens.picture(known.guest)
        response = Response(picture.png, mimetype="image/png", headers={"Cache-Control": "private, no-cache"})
        response.set_etag(picture.etag)
        response.make_conditional(request)
        return response

    sign_in.register(pages, ports, at_door)

    @pages.get("/healthz")
    def health() -> Response:
        answers = engine_answers.get(_engine_answers)
        return Response(f"ok\nengine={'answers' if answers else 'away'}\n", mimetype="text/plain")

    def _engine_answers() -> bool:
        try:
            ports.engine.status()
        except EngineAway:
            return False
        except LabVirtError:
            return True  # it spoke, if only to refuse
        return True

    return pages
