# SPDX-License-Identifier: MIT
"""Another profile for the seats that were chosen on the map: which one, what it comes to at each seat, then it is done."""

from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from labvirt.domain.names import one_line
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import bulk, bulk_profile
from labvirt.usecases.bulk_profile import Why
from labvirt.web.ui import layout
from labvirt.web.ui.labmap import chosen_seats
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import marked, ngettext
from labvirt.web.ui.retold import retold

USUAL = "+usual"
"""Stands for: as the lab's order says. No profile can be called so."""
WHY = {
    Why.WILL: marked("will be done"),
    Why.SAME: marked("it has this profile already"),
    Why.NO_TERMINAL: marked("no terminal belongs to this seat"),
    Why.FAILED: marked("it was refused"),
}


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("seat_profiles", __name__, url_prefix="/labs/<lab>/profile")

    @pages.post("/plan")
    def plan(lab: str) -> str:
        """Without a profile: which ones there are."""
        seats, profile = chosen_seats(), one_line(request.form.get("profile", ""), 64)
        if not seats:
            raise InvalidInput("seats", "choose at least one", hint=bulk.HOW_TO_CHOOSE)
        found = bulk_profile.choices(g.ports, lab)
        told = bulk_profile.plan(g.ports, lab, _named(profile), seats) if profile else ()
        will = sum(each.will for each in told)
        more = {"usual": USUAL, "profile": profile, "why": WHY, "will": will}
        return render_template("seat_profiles.html", lab=lab, seats=sorted(set(seats)), choices=found, plan=told, **more)

    @pages.post("/do")
    def do(lab: str) -> Response:
        profile = one_line(request.form.get("profile", ""), 64)
        bulk_profile.choices(g.ports, lab)  # who may not, or may not even see the lab, is told so and not sent on
        try:
            if not profile:
                raise InvalidInput("profile", "choose one")
            came = bulk_profile.do(g.ports, lab, _named(profile), chosen_seats())
        except LabVirtError as error:
            layout.refused(error)
            return redirect(url_for("labmap.page", lab=lab), 303)
        done = sum(each.will for each in came)
        said = ngettext("The profile of %(done)d seat is changed.", "The profiles of %(done)d seats are changed.", done) % {"done": done}
        left = [f"{each.name}: {_(WHY[each.why])}{f' ({retold(each.detail)})' if each.detail else ''}" for each in came if not each.will]
        layout.told(f"{said} {' '.join(left[:8])}{' …' if len(left) > 8 else ''}".strip())
        return redirect(url_for("labmap.page", lab=lab), 303)

    return pages


def _named(profile: str) -> str | None:
    return None if profile == USUAL else profile
