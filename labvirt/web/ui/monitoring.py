# SPDX-License-Identifier: MIT
"""/metrics for programs that draw curves, and /readyz for those that decide whether this controller may be asked."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from flask import Blueprint, Response, g, request

from labvirt.domain.right import Right
from labvirt.errors import NotAllowed
from labvirt.usecases import figures
from labvirt.usecases.ports import Ports
from labvirt.web.figures import CONTENT_TYPE, Exposition
from labvirt.web.ui.recent import Recent

METRICS_SECONDS = 2.0
"""However many ask, the house is looked through once in so long."""
READY_SECONDS = 1.0
PATIENCE_SECONDS = 10.0


def blueprint(ports: Ports, exposition: Exposition) -> Blueprint:
    """Open in the guard: /metrics asks itself, /readyz says nothing that matters."""
    pages = Blueprint("monitoring", __name__)
    networks = tuple(ip_network(each) for each in ports.limits.metrics_from)
    text: Recent[bytes] = Recent(ports.clock, seconds=METRICS_SECONDS, patience=PATIENCE_SECONDS)
    state: Recent[tuple[tuple[str, ...], bool]] = Recent(ports.clock, seconds=READY_SECONDS, patience=PATIENCE_SECONDS)

    @pages.get("/metrics")
    def metrics() -> Response:
        if not _is_listed(request.remote_addr) and not g.ports.caller.may(Right.LOOK, None):
            raise NotAllowed(
                "The metrics are not for this address.",
                hint="List it in labvirt.toml: metrics_from = [...], or sign in. See docs/howto/monitoring.md.",
            )
        return Response(text.get(exposition.text), content_type=CONTENT_TYPE)

    @pages.get("/readyz")
    def ready() -> Response:
        sentences, well = state.get(lambda: figures.ready(ports))
        return Response("".join(f"{each}\n" for each in sentences), 200 if well else 503, mimetype="text/plain")

    def _is_listed(address: str | None) -> bool:
        try:
            found = ip_address(address or "")
        except ValueError:
            return False  # a Unix socket: somebody in front of us answers for it, and must send who it is
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in networks)

    return pages
