# SPDX-License-Identifier: MIT
"""Listening to a guest's serial line while it boots. Sends nothing, keeps the last of it, and lets go at the end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from labvirt.contracts.hypervisor import SERIAL_SOCKET
from labvirt.errors import LabVirtError
from labvirt.system.sockets import connect_unix

TAIL_BYTES = 16 << 10
LOOK_SECONDS = 0.3


@contextlib.contextmanager
def overhear(folder: Callable[[], Path | None]) -> Iterator[Callable[[], str]]:
    """Keeps contracts.trials.Trials.overhear."""
    heard = bytearray()
    lock, over = threading.Lock(), threading.Event()

    def listen() -> None:
        while not over.is_set():
            connection = _connected(folder)
            if connection is None:
                over.wait(LOOK_SECONDS)
                continue
            with connection:
                _take(connection)
            over.wait(LOOK_SECONDS)  # it hung up: the run was over, or another one begins

    def _take(connection: socket.socket) -> None:
        connection.settimeout(LOOK_SECONDS)
        while not over.is_set():
            try:
                data = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            if not data:
                return
            with lock:
                heard.extend(data)
                del heard[:-TAIL_BYTES]

    def text() -> str:
        with lock:
            raw = bytes(heard)
        return "".join(c for c in raw.decode("utf-8", "replace").replace("\r\n", "\n") if c == "\n" or c.isprintable())

    thread = threading.Thread(target=listen, name="serial-overheard", daemon=True)
    thread.start()
    try:
        yield text
    finally:
        over.set()
        thread.join()


def _connected(folder: Callable[[], Path | None]) -> socket.socket | None:
    try:
        place = folder()
        return connect_unix(place / SERIAL_SOCKET, timeout=LOOK_SECONDS) if place is not None else None
    except (OSError, LabVirtError):
        return None
