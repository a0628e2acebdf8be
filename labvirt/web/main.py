# SPDX-License-Identifier: MIT
"""Serve the application on sockets that somebody with rights has bound (the supervisor, systemd, the demo)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

import uvicorn

from labvirt.usecases.ports import Ports
from labvirt.web.app import Application

BACKLOG = 4096
"""A storm of terminals connects at once; the kernel clips to net.core.somaxconn (4096 by default)."""


def serve(*, ports: Ports, sockets: Sequence[socket.socket], ca_pem: Callable[[], str], secret_key: bytes) -> None:
    """Answers until SIGTERM or SIGINT; open long polls are cut after two seconds."""
    for listening in sockets:
        listening.listen(BACKLOG)
    application = Application(ports=ports, ca_pem=ca_pem, secret_key=secret_key)
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        backlog=BACKLOG,
    )
    uvicorn.Server(config).run(sockets=list(sockets))
