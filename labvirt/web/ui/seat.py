# SPDX-License-Identifier: MIT
"""The page of one seat: how it is, and why it has the guest that it has, down to the command line."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.names import check_name
from labvirt.domain.right import Right
from labvirt.errors import InvalidInput, LabVirtError, NotFound
from labvirt.usecases import bulk, inspect, rescue
from labvirt.usecases.bulk import SeatAct
from labvirt.web.ui import layout, seats
from labvirt.web.ui.labmap import ACTS, WHY
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import Looking, fragment
from labvirt.web.ui.retold import retold


def blueprint(looking: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("seat", __name__, url_prefix="/seats/<name>")

    @pages.get("")
    def page(name: str) -> str:
        told = _explanation(name)
        return render_template("seat.html", told=told, now=_now(name), acts=ACTS, kept=_kept(told))

    @pages.get("/now")
    def now(name: str) -> Response:
        seen = _now(name)
        if seen is None:
            _explanation(name)  # raises for what is not there or not the caller's
        return fragment(render_template("seat_now.html", now=seen))

    @pages.post("/act")
    def act(name: str) -> AnyResponse:
        told = _explanation(name)
        try:
            wanted = SeatAct(request.form.get("do", ""))
        except ValueError as error:
            raise InvalidInput("do", f"must be one of {', '.join(SeatAct)}") from error
        (came,) = bulk.do(g.ports, told.lab.name, wanted, [told.seat], by=layout.name_of_caller())
        if came.will:
            layout.told(f"{_(ACTS[wanted][0])}: {came.guest}")
        else:
            layout.refused(LabVirtError(f"{came.guest}: {_(WHY[came.why])}{f' ({retold(came.detail)})' if came.detail else ''}"))
        return redirect(url_for("seat.page", name=told.name), 303)

    def _explanation(name: str) -> inspect.Explanation:
        told = inspect.explain(g.ports, check_name(name, "seat"))
        if not layout.may(Right.LOOK, told.lab.name):
            raise NotFound("guest", name)
        return told

    def _now(name: str) -> seats.Seat | None:
        """How it is in words; None for a special guest, or a seat without a terminal that never had a guest."""
        overview = looking.overview()
        for lab in overview.labs:
            for view in lab.seats:
                names = {lab.lab.guest_name(view.seat), view.terminal.name if view.terminal else ""}
                if name in names:
                    return seats.one(lab, view.seat, overview.at, engine=overview.engine is not None)
        return None

    return pages


def _kept(told: inspect.Explanation) -> tuple[rescue.KeptView, ...]:
    """What runs of this seat had written and is still there; nothing where it cannot be read."""
    if not layout.may(Right.UPDATE, told.lab.name):
        return ()
    try:
        return rescue.everything(g.ports, guest=told.name)
    except LabVirtError:
        return ()
