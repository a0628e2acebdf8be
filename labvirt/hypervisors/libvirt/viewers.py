# SPDX-License-Identifier: MIT
"""Who watches a guest over SPICE, out of QEMU's events and answers as libvirt passes them on.

One viewer has several channels, each a TCP connection of its own. It is there with its main channel and gone when that one is.
Formats: qapi/ui.json of QEMU (SpiceChannel, SPICE_INITIALIZED, SPICE_DISCONNECTED). Not thread-safe: events.py holds the lock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Protocol

from labvirt.contracts.hypervisor import EventKind

_MAIN = 1
"""SPICE_CHANNEL_MAIN (spice/enums.h)."""

QUIET_SECONDS = 1.5
"""A viewer is announced when no further channel of it has come for so long: each channel shows the secret again (spice-server,
reds_handle_ticket), so whoever revokes it on the announcement must not come between two of them."""

Address = tuple[str, str]
"""Host and port of the viewer's end of its main channel."""

Say = Callable[[EventKind, str], None]
"""Kind and the viewer's host."""


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]


def on_a_thread(seconds: float, work: Callable[[], None]) -> Timer:
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()
    return timer


class Viewers:
    """The viewers of one run. Who is there at the first look is counted and not announced."""

    def __init__(self, say: Say, later: Later) -> None:
        self._say = say
        self._later = later
        self._looked = False
        self._here: set[Address] = set()
        self._arriving: dict[Address, Timer] = {}

    def compare(self, seen: frozenset[Address]) -> None:
        """Mend the picture by an answer to query-spice: events may have been lost with a connection."""
        if not self._looked:
            self._looked, self._here = True, set(seen)
            return
        for address in (self._here | set(self._arriving)) - seen:
            self._leaves(address)
        for address in seen - self._here - set(self._arriving):
            self._comes(address)

    def initialized(self, client: dict[str, Any]) -> None:
        """A channel is ready: SPICE_INITIALIZED."""
        host = str(client.get("host", ""))
        if client.get("channel-type") == _MAIN:
            self._comes((host, str(client.get("port", ""))))
        for address in [known for known in self._arriving if known[0] == host]:
            self._comes(address)  # one more channel of this host: wait on

    def disconnected(self, client: dict[str, Any]) -> None:
        """A channel is gone: SPICE_DISCONNECTED."""
        self._leaves((str(client.get("host", "")), str(client.get("port", ""))))

    def let_go(self) -> None:
        """Nobody is announced any more."""
        for timer in self._arriving.values():
            timer.cancel()
        self._arriving.clear()

    def is_here(self, address: Address) -> None:
        """The quiet after its last channel is over. A timer that was cancelled too late changes nothing."""
        if self._arriving.pop(address, None) is not None:
            self._here.add(address)
            self._say(EventKind.VIEWER_CONNECTED, address[0])

    def _comes(self, address: Address) -> None:
        if address in self._arriving:
            self._arriving[address].cancel()
        self._arriving[address] = self._later(QUIET_SECONDS, lambda: self.is_here(address))

    def _leaves(self, address: Address) -> None:
        timer = self._arriving.pop(address, None)
        if timer is not None:
            timer.cancel()
        if address in self._here:
            self._here.remove(address)
            self._say(EventKind.VIEWER_LEFT, address[0])


def viewers_in(answer: str) -> frozenset[Address]:
    """The viewers in QEMU's answer to query-spice: its main channels. Empty for a run without SPICE."""
    found = parse_object(answer).get("return")
    channels = found.get("channels") if isinstance(found, dict) else None
    return frozenset(
        (str(channel.get("host", "")), str(channel.get("port", "")))
        for channel in (channels if isinstance(channels, list) else [])
        if isinstance(channel, dict) and channel.get("channel-type") == _MAIN
    )


def parse_object(text: str | None) -> dict[str, Any]:
    """A JSON object of QEMU; empty for anything else."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
