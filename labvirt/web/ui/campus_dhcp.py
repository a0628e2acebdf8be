# SPDX-License-Identifier: MIT
"""The settings of a lab for a DHCP server of the campus: to read, with what to know about them, and to download."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, g, render_template, request

from labvirt.contracts.dhcp import DhcpForm
from labvirt.errors import InvalidInput
from labvirt.usecases import campus_dhcp, labs
from labvirt.web.errors import status_of
from labvirt.web.ui.language import marked

FORMS: Mapping[DhcpForm, tuple[str, str]] = {
    DhcpForm.KEA: ("Kea", "conf"),
    DhcpForm.ISC: ("ISC dhcpd", "conf"),
    DhcpForm.DNSMASQ: ("dnsmasq", "conf"),
    DhcpForm.DNSMASQ_PROXY: (marked("dnsmasq, only how to boot"), "conf"),
    DhcpForm.CSV: (marked("a plain list (CSV)"), "csv"),
}
"""Form -> its words, and how the name of its file ends."""


def blueprint() -> Blueprint:
    """Looks, and changes nothing. Behind the guard like all pages."""
    pages = Blueprint("campus_dhcp", __name__, url_prefix="/labs/<lab>/dhcp")

    @pages.get("")
    def page(lab: str) -> Response:
        """What cannot be written yet (there is nothing to boot) is said beside the choice."""
        found, form = labs.one(g.ports, lab), _form()
        told, wrong = None, None
        try:
            told = campus_dhcp.settings(g.ports, lab, form)
        except InvalidInput as error:
            wrong = error
        shown = render_template("campus_dhcp.html", lab=found, form=form, forms=FORMS, told=told, wrong=wrong)
        return Response(shown, 200 if wrong is None else status_of(wrong), mimetype="text/html")

    @pages.get("/settings")
    def download(lab: str) -> Response:
        """The same text that `labvirt lab dhcp` prints, byte by byte."""
        form = _form()
        told = campus_dhcp.settings(g.ports, lab, form)
        name = f"labvirt-{lab}-{form}.{FORMS[form][1]}"
        return Response(told.text, mimetype="text/plain", headers={"Content-Disposition": f'attachment; filename="{name}"'})

    return pages


def _form() -> DhcpForm:
    word = request.args.get("form", str(DhcpForm.KEA))
    if word not in tuple(DhcpForm):
        raise InvalidInput("form", f"must be one of {', '.join(DhcpForm)}")
    return DhcpForm(word)
