# SPDX-License-Identifier: MIT
"""The routes that people's browsers use: first page, its fragment and pictures, terminals, the door, health."""

from __future__ import annotations

import threading

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.contracts.clock import Clock
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import EngineAway, LabVirtError, NotFound
from labvirt.usecases import boots, inspect, watching
from labvirt.usecases.ports import Ports
from labvirt.web.published import Published
from labvirt.web.ui import boot_chart, guard, seats, sign_in, terminals
from labvirt.web.ui.guard import Guard
from labvirt.web.ui.recent import Recent
from labvirt.web.ui.refusal import refusal
from labvirt.web.ui.screens import Screens

PAGE_SECONDS = 1.0
"""So old may the labs be that a browser is shown when nothing was published: many browsers cost one look."""
KEPT = 64
"""Kinds of people whose page is remembered."""
HEALTH_SECONDS = 1.0
PATIENCE_SECONDS = 10.0


class FirstPage:
    """Labs and seats as a fragment of HTML, shared by all browsers that ask at the same time and may see the same."""

    def __init__(self, published: Published, clock: Clock) -> None:
        self._published = published
        self._clock = clock
        self._recent: dict[object, Recent[str]] = {}
        self._lock = threading.Lock()

    def fragment(self, ports: Ports) -> str:
        """What `ports.caller` may see. Raises DatabaseError, Exhausted."""
        sees = (ports.caller.grants, ports.caller.rights)
        with self._lock:
            if len(self._recent) >= KEPT and sees not in self._recent:
                self._recent.clear()
            recent = self._recent.setdefault(sees, Recent(self._clock, seconds=PAGE_SECONDS, patience=PATIENCE_SECONDS))
        return recent.get(lambda: self._make(ports), self._published.revision(""))

    def _make(self, ports: Ports) -> str:
        presences = {change.guest.name: change.presence for change in self._published.changes()}
        return render_template(
            "labs.html", page=seats.first_page(inspect.overview(ports, presences)), may_site=ports.caller.may(Right.SITE, None)
        )


def blueprint(ports: Ports, published: Published, at_door: Guard) -> Blueprint:
    """All routes, and the guard before every request of the whole application."""
    pages = Blueprint("pages", __name__)
    first_page = FirstPage(published, ports.clock)
    screens = Screens(ports.engine, ports.clock)
    engine_answers: Recent[bool] = Recent(ports.clock, seconds=HEALTH_SECONDS, patience=PATIENCE_SECONDS)

    @pages.before_app_request
    def deny_by_default() -> AnyResponse | None:
        guard.check_origin(request)
        g.ports = ports.on_behalf_of(at_door.caller_of_request(request))
        if guard.may_pass(request, g.ports.caller):
            return None
        if request.endpoint == "pages.first":
            return redirect(url_for("pages.door"), 303)
        return refusal(guard.NOT_SIGNED_IN, 401, {})

    @pages.get("/")
    def first() -> str:
        caller = g.ports.caller
        shown = {"may_site": caller.may(Right.SITE, None), "may_audit": caller.may_somewhere(Right.AUDIT)}
        return render_template("first.html", labs=first_page.fragment(g.ports), **shown)

    terminals.register(pages)

    @pages.get("/labs")
    def labs() -> str:
        return first_page.fragment(g.ports)

    @pages.get("/labs/<lab>/boots")
    def lab_boots(lab: str) -> str:
        return render_template("boots.html", chart=boot_chart.chart(boots.of_lab(g.ports, one_line(lab, 64))))

    @pages.get("/guests/<guest>/screen.png")
    def screen(guest: str) -> Response:
        watching.may_watch(g.ports, one_line(guest, 64))
        known = published.change(guest)
        if known is None:
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
