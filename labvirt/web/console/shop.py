# SPDX-License-Identifier: MIT
"""POST /consoles sells the ticket to a console; GET /guests/NAME/console is the page around one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, render_template, request

from labvirt.domain.console import ConsoleKind
from labvirt.domain.names import one_line
from labvirt.errors import InvalidInput
from labvirt.usecases import consoles
from labvirt.web.terminal.render import as_json

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0", "")

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'nonce-{nonce}'; object-src 'none'; base-uri 'none';"
    " frame-ancestors 'none'; form-action 'self'"
)
"""noVNC decodes tiles and cursors through data: pictures; xterm.js makes style elements, which get this page's nonce (serial.js)."""


def blueprint() -> Blueprint:
    """Both routes."""
    routes = Blueprint("consoles", __name__)

    @routes.post("/consoles")
    def buy() -> Response:
        told = _told()
        guest = one_line(_text(told, "guest"), 64)
        bought = consoles.buy(g.ports, guest, _kind(_text(told, "kind", "screen")), view_only=_truth(told, "view_only"))
        answer: dict[str, object] = {
            "ticket": bought.ticket,
            "seconds": bought.seconds,
            "guest": guest,
            "kind": str(bought.console.kind),
            "view_only": bought.console.view_only,
        }
        return Response(as_json(answer), 201, mimetype="application/json")

    @routes.get("/guests/<guest>/console")
    def page(guest: str) -> Response:
        kind = _kind(request.args.get("kind", "screen"))
        may_type = consoles.may_type(g.ports, one_line(guest, 64))
        view_only = not may_type or _truth(request.args, "view_only")
        nonce = secrets.token_urlsafe(16)
        shown = render_template("console.html", guest=guest, kind=str(kind), may_type=may_type, view_only=view_only, nonce=nonce)
        return Response(shown, mimetype="text/html", headers={"Content-Security-Policy": POLICY.format(nonce=nonce)})

    return routes


def _told() -> Mapping[str, Any]:
    """The request's values, from JSON or a form."""
    if request.mimetype == "application/json":
        told = request.get_json(silent=True)
        if not isinstance(told, dict):
            raise InvalidInput("body", "is not a JSON object")
        return told
    return request.form


def _text(told: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = told.get(field, default)
    if not isinstance(value, str):
        raise InvalidInput(field, "must be text")
    return value


def _truth(told: Mapping[str, Any], field: str) -> bool:
    value = told.get(field, False)
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in TRUE + FALSE:
        raise InvalidInput(field, "must be true or false")
    return value.lower() in TRUE


def _kind(text: str) -> ConsoleKind:
    try:
        return ConsoleKind(text)
    except ValueError:
        raise InvalidInput("kind", "must be one of screen, serial") from None
