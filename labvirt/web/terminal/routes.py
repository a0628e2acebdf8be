# SPDX-License-Identifier: MIT
"""POST /terminals/ticket and /terminals/heartbeat; boot.py adds another. All believe only the address that the connection comes from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Address

from flask import Blueprint, Response, request

from labvirt.domain.names import check_terminal_id, one_line
from labvirt.domain.power_order import PowerWord
from labvirt.errors import InvalidInput
from labvirt.usecases import asking
from labvirt.usecases.ports import Ports
from labvirt.web.terminal import boot, deed, hardware
from labvirt.web.terminal.question import source_of
from labvirt.web.terminal.render import Body, Format, as_json, parse_format, plain

VIEWER_WORDS = ("none", "starting", "running", "ended")


def blueprint(ports: Ports, flow_since: Callable[[str], datetime | None]) -> Blueprint:
    """The routes, bound to their ports. `flow_since`: see boot.py."""
    routes = Blueprint("terminals", __name__, url_prefix="/terminals")

    @routes.post("/ticket")
    def ticket() -> Response:
        form = parse_format(request.form.get("format", "plain"))
        minted = asking.ticket(ports, _id(), _source())
        told: dict[str, object] = {
            "guest": minted.guest,
            "protocol": "spice" if minted.user is None else "rdp",
            "address": str(minted.address),
            "port": minted.port,
            "user": minted.user,
            "secret": minted.secret,
            "fingerprint": minted.fingerprint,
            "expires_seconds": minted.expires_seconds,
        }
        told = {key: value for key, value in told.items() if value is not None}
        body = (
            Body(content=as_json(told), media_type="application/json")
            if form is Format.JSON
            else Body(content=plain(told), media_type="text/plain; charset=utf-8")
        )
        return Response(body.content, mimetype=body.media_type, headers={"Cache-Control": "no-store"})

    hardware.register(routes, ports)

    @routes.post("/heartbeat")
    def heartbeat() -> Response:
        viewer = request.form.get("viewer", "")
        if viewer not in VIEWER_WORDS:
            raise InvalidInput("viewer", f"must be one of {', '.join(VIEWER_WORDS)}")
        order = asking.heartbeat(
            ports,
            _id(),
            _source(),
            viewer=viewer,
            viewer_exit=_number("viewer_exit"),
            viewer_seconds=_number("viewer_seconds"),
            kiosk=one_line(request.form.get("kiosk", ""), 40),
            error=one_line(request.form.get("error", "")),
            goodbye=_leaving(),
            order_done=_number("order_done"),
            order_refused=_number("order_refused"),
            touched_seconds=_number("touched_seconds"),
        )
        if order is None:
            return Response(status=204)
        told = plain({"order": str(order.word), "order_id": order.number})
        return Response(told, mimetype="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"})

    def _id() -> str | None:
        value = request.form.get("id")
        return None if value is None else check_terminal_id(value)

    def _leaving() -> PowerWord | None:
        text = request.form.get("leaving", "")
        try:
            return PowerWord(text) if text else None
        except ValueError as error:
            raise InvalidInput("leaving", f"must be one of {', '.join(PowerWord)}") from error

    def _source() -> IPv4Address | None:
        return source_of({"client": (request.remote_addr, 0) if request.remote_addr else None})

    def _number(name: str) -> int | None:
        text = request.form.get(name)
        if text is None or text == "":
            return None
        try:
            value = int(text)
        except ValueError as error:
            raise InvalidInput(name, "must be a whole number") from error
        if not -1_000_000 < value < 1_000_000:
            raise InvalidInput(name, "is out of range")
        return value

    deed.register(routes, ports)
    boot.register(routes, ports, flow_since)
    return routes
