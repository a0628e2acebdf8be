# SPDX-License-Identifier: MIT
"""POST /terminals/hardware: what a terminal says of its machine. Believes only the address that the connection comes from."""

from __future__ import annotations

from flask import Blueprint, Response, request

from labvirt.domain.hardware import TEXTS, check_hardware
from labvirt.domain.names import check_terminal_id
from labvirt.errors import InvalidInput
from labvirt.usecases import hardware
from labvirt.usecases.ports import Ports
from labvirt.web.terminal.question import source_of

DIGITS = 8


def register(routes: Blueprint, ports: Ports) -> None:
    """The route, on the blueprint of the terminals' other requests."""

    @routes.post("/hardware")
    def tell_hardware() -> Response:
        form = request.form
        screens = form.get("screens")
        said = check_hardware(
            memory_mib=_number("memory_mib"),
            cpus=_number("cpus"),
            link_mbps=_number("link_mbps"),
            screens=None if screens is None else tuple(part for part in screens.split(",") if part.strip()),
            **{field: form.get(field, "") for field in TEXTS},
        )
        id = form.get("id")
        source = source_of({"client": (request.remote_addr, 0) if request.remote_addr else None})
        hardware.tell(ports, None if id is None else check_terminal_id(id), source, said)
        return Response(status=204)


def _number(field: str) -> int | None:
    text = request.form.get(field, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
        raise InvalidInput(field, f"must be a whole number of at most {DIGITS} digits")
    return int(text)
