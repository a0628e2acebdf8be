# SPDX-License-Identifier: MIT
"""Serve the application on sockets that somebody with rights has bound (the supervisor, systemd, the demo)."""

from __future__ import annotations

import gc
import resource
import socket
import sys
from collections.abc import Callable, Sequence

import uvicorn

from labvirt.usecases.ports import Ports
from labvirt.web.app import Application
from labvirt.web.ui.knock import NOBODY_TRUSTED, Proxy

BACKLOG = 4096
"""A storm of terminals connects at once; the kernel clips to net.core.somaxconn (4096 by default)."""

LARGEST_MESSAGE = 64 * 1024
"""Of a browser's console: keys, pointers, a little text."""

OPEN_FILES = 65536
SWITCH_SECONDS = 0.001
"""A thread that comes back from the database or the engine waits at most so long for one that computes (Python's own: 5 ms). A page comes
back dozens of times, and beside hundreds of streams and consoles the event loop always computes."""
GONE_MS = 20_000
"""A client that has acknowledged nothing for so long is gone (tcp(7), TCP_USER_TIMEOUT). GRUB opens the same port with the same numbers at
each start: while the connection of a PC that was switched off in the middle lives on here (15 minutes without this), the PC cannot boot."""


def serve(*, ports: Ports, sockets: Sequence[socket.socket], ca_pem: Callable[[], str], proxy: Proxy = NOBODY_TRUSTED) -> None:
    """Answers until SIGTERM or SIGINT; open long polls are cut after two seconds. Logging is the caller's.

    The soft limit of open files is raised to the hard one: each held question and each open page is one.
    """
    _raise_open_files()
    for each in sockets:
        if each.family in (socket.AF_INET, socket.AF_INET6):  # what is accepted inherits it
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
    answering = server(Application(ports=ports, ca_pem=ca_pem, proxy=proxy))
    answering.config.load()
    gc.collect()
    gc.freeze()  # what was imported is never garbage: looking through it kept every page waiting for half a second, now and then
    sys.setswitchinterval(SWITCH_SECONDS)
    answering.run(sockets=list(sockets))


class Server(uvicorn.Server):
    """Lets everybody go who is held, before it waits for the last answers."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.published.close()
        await super().shutdown(sockets)


def server(application: Application) -> Server:
    """How the application is served: no header that a client sends changes who it is taken for."""
    config = uvicorn.Config(
        application,
        lifespan="on",
        http="h11",  # keeps the spelling of headers, which GRUB needs (boot.py)
        ws="websockets-sansio",
        ws_max_size=LARGEST_MESSAGE,
        ws_ping_interval=20.0,
        ws_ping_timeout=40.0,
        ws_per_message_deflate=False,  # pictures are compressed already, and what a client sends may not grow here
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
        backlog=BACKLOG,
    )
    return Server(config, application)


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
