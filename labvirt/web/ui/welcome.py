# SPDX-License-Identifier: MIT
"""The first steps of a new site, each shown with whether it is done: a lab, an image, a profile, a terminal. One may come back."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.reach import SITE
from labvirt.domain.right import Right
from labvirt.errors import LabVirtError
from labvirt.usecases import catalogue, labs, profiles, rights, terminals
from labvirt.web.errors import status_of
from labvirt.web.ui import layout
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import Looking

LONGEST = 64


def blueprint(looking: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("welcome", __name__, url_prefix="/welcome")

    @pages.get("")
    def page() -> str:
        return _page()

    @pages.post("/lab")
    def lab() -> AnyResponse:
        name, network = request.form.get("name", "").strip()[:LONGEST], request.form.get("network", "").strip()[:LONGEST]
        try:
            made = labs.add(g.ports, name=name, network=labs.parse_network(network))
        except LabVirtError as error:
            return Response(
                _page(wrong=f"{error.sentence} {error.hint}", name=name, network=network), status_of(error), mimetype="text/html"
            )
        layout.told(_("The lab %(name)s is there, with room for %(seats)d seats.") % {"name": made.name, "seats": made.max_instances})
        return redirect(url_for("welcome.page"), 303)

    def _page(*, wrong: str = "", name: str = "lab-a", network: str = "10.77.0.0/24") -> str:
        rights.must(g.ports, Right.SITE, SITE, "set up the site")
        overview = looking.overview()
        images = [each for each in catalogue.everything(g.ports) if each.image.published]
        done = {
            "host": overview.engine is not None and not any(each.severity == "error" for each in overview.engine.findings),
            "lab": bool(labs.everything(g.ports)),
            "image": bool(images),
            "profile": bool(profiles.everything(g.ports)),
            "terminal": bool(terminals.everything(g.ports)),
        }
        return render_template("welcome.html", done=done, engine=overview.engine, wrong=wrong, name=name, network=network)

    return pages
