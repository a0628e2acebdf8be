# SPDX-License-Identifier: MIT
"""POST /terminals/deed: the person at a terminal restarts the guest or gets a fresh one. Believes only the address of the connection."""

from __future__ import annotations

from flask import Blueprint, Response, request

from labvirt.domain.names import check_terminal_id
from labvirt.usecases import terminal_deeds
from labvirt.usecases.ports import Ports
from labvirt.web.terminal.question import source_of


def register(routes: Blueprint, ports: Ports) -> None:
    """The route is part of `routes`."""

    @routes.post("/deed")
    def deed() -> Response:
        id = request.form.get("id")
        source = source_of({"client": (request.remote_addr, 0) if request.remote_addr else None})
        wanted = terminal_deeds.parse(request.form.get("deed", "")[:64])
        terminal_deeds.do(ports, None if id is None else check_terminal_id(id), source, wanted)
        return Response(status=204)
