# SPDX-License-Identifier: MIT
"""Hosts: what each bears, what is left, and whether new guests are placed there."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.right import Right
from labvirt.errors import LabVirtError
from labvirt.usecases import examination, hosts, power, profiles
from labvirt.web.past import Past
from labvirt.web.ui import layout, past_chart
from labvirt.web.ui.amounts import moment
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import Looking, fragment


def blueprint(looking: Looking, past: Past) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("hosts", __name__, url_prefix="/hosts")

    @pages.get("")
    def page() -> str:
        looked = examination.last(g.ports) if layout.may(Right.SITE) else None
        return render_template("hosts.html", **_seen(), looked=looked)

    @pages.get("/part")
    def part() -> Response:
        return fragment(render_template("hosts_part.html", **_seen()))

    @pages.post("/<name>/service")
    def service(name: str) -> AnyResponse:
        on = request.form.get("do") == "on"
        try:
            hosts.change(g.ports, name, in_service=on)
            layout.told((_("%s takes new guests again.") if on else _("%s takes no new guests; those that run stay.")) % name)
        except LabVirtError as error:
            layout.refused(error)
        return redirect(url_for("hosts.page"), 303)

    def _seen() -> dict[str, object]:
        known = hosts.everything(g.ports)
        memory = {each.name: each.memory_mib for each in profiles.everything(g.ports)}
        living = [guest for guest in power.guests(g.ports) if guest.alive]
        place = known[0].name if len(known) == 1 else ""
        guests = Counter(guest.host or place for guest in living)
        promised: Counter[str] = Counter()
        for guest in living:
            promised[guest.host or place] += memory.get(guest.profile or "", 0)
        engine = looking.overview().engine
        samples = past.samples()
        shown = {
            "sparks": past_chart.sparks(samples, guests=g.ports.caller.may(Right.LOOK, None)),
            "since": samples[0].at if samples else None,
        }
        return {**shown, "hosts": known, "guests": guests, "promised": promised, "engine": engine, "moment": moment}

    return pages
