# SPDX-License-Identifier: MIT
"""The password once more, before what everybody feels: a page that carries what was asked for. With the password it is done at once, and
nothing is typed again (OWASP ASVS 5.0, 7.5.3). Forms that hold secrets themselves are asked on their own page (account.py, people.py)."""

from __future__ import annotations

from flask import Response, g, render_template, request

from labvirt.errors import LabVirtError, MustConfirm
from labvirt.usecases import sign_in
from labvirt.web.errors import retry_after, status_of

FIELD = "password_once_more"


def is_asked(error: LabVirtError) -> bool:
    """Is this answered by the page? Only to the form of a browser: programs are told the error."""
    return isinstance(error, MustConfirm) and _is_a_form()


def given() -> Response | None:
    """Before the act of a form that brings the password: it counts from now on; or the page again, with what is wrong."""
    if not _is_a_form() or FIELD not in request.form:
        return None
    try:
        sign_in.confirm(g.ports, request.form[FIELD])
    except LabVirtError as error:
        return page(error)
    return None


def page(error: LabVirtError) -> Response:
    """Sends again what was sent, beside the password."""
    wrong = None if isinstance(error, MustConfirm) else error
    carried = [(name, value) for name, value in request.form.items(multi=True) if name != FIELD]
    told = render_template("once_more.html", field=FIELD, carried=carried, wrong=wrong, person=g.ports.caller.person != "shell")
    wait = retry_after(error)
    return Response(told, status_of(error), {"Retry-After": str(wait)} if wait else {}, mimetype="text/html")


def _is_a_form() -> bool:
    return request.method == "POST" and request.mimetype == "application/x-www-form-urlencoded"
