# SPDX-License-Identifier: MIT
"""Who watches a guest over SPICE, out of QEMU's events and answers. On the loop's thread only.

One viewer is one connection-id with several channels, each with a TCP connection of its own. It is there with its
main channel and gone when that one is. Formats: qapi/ui.json of QEMU (SpiceChannel, SPICE_INITIALIZED,
SPICE_DISCONNECTED).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from labvirt.contracts.hypervisor import EventKind

MAIN = 1
"""SPICE_CHANNEL_MAIN, spice/enums.h."""

QUIET_SECONDS = 1.5
"""A viewer is announced when no further channel of it has come for so long: each channel shows the secret again
(spice-server, reds_handle_ticket), so whoever revokes it on the announcement must not come between two of them.
"""

Address = tuple[str, str]
"""Host and port of the viewer's end of one channel."""


class Say(Protocol):
    def __call__(self, kind: EventKind, detail: str = "", *, peer: str = "") -> None: ...


class Viewers:
    """The viewers of one run. Who is there at the first look is counted and not announced."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._looked = False
        self._here: set[Address] = set()
        self._arriving: dict[Address, asyncio.TimerHandle] = {}

    @property
    def count(self) -> int:
        return len(self._here)

    def compare(self, answer: object) -> None:
        """Mend the picture by an answer to query-spice: events may have been lost with a connection."""
        channels = answer.get("channels", ()) if isinstance(answer, Mapping) else ()
        seen = set()
        for channel in channels if isinstance(channels, Sequence) else ():
            address = _address(channel)
            if address is not None and channel.get("channel-type") == MAIN:
                seen.add(address)
        if not self._looked:
            self._looked, self._here = True, seen
            return
        for address in (self._here | set(self._arriving)) - seen:
            self._leaves(address)
        for address in seen - self._here - set(self._arriving):
            self._comes(address)

    def initialized(self, client: object) -> None:
        """A channel is ready: SPICE_INITIALIZED."""
        address = _address(client)
        if address is None or not isinstance(client, Mapping):
            return
        if client.get("channel-type") == MAIN:
            self._comes(address)
        for known in [each for each in self._arriving if each[0] == address[0]]:
            self._comes(known)  # one more channel of this host: wait on

    def disconnected(self, client: object) -> None:
        """A channel is gone: SPICE_DISCONNECTED."""
        address = _address(client)
        if address is not None:
            self._leaves(address)

    def let_go(self) -> None:
        """Nobody is announced any more."""
        for timer in self._arriving.values():
            timer.cancel()
        self._arriving.clear()

    def _comes(self, address: Address) -> None:
        if address in self._arriving:
            self._arriving[address].cancel()
        self._arriving[address] = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._is_here, address)

    def _is_here(self, address: Address) -> None:
        del self._arriving[address]
        self._here.add(address)
        self._say(EventKind.VIEWER_CONNECTED, peer=address[0])

    def _leaves(self, address: Address) -> None:
        timer = self._arriving.pop(address, None)
        if timer is not None:
            timer.cancel()
        if address in self._here:
            self._here.remove(address)
            self._say(EventKind.VIEWER_LEFT, peer=address[0])


def _address(client: object) -> Address | None:
    if not isinstance(client, Mapping) or not isinstance(client.get("host"), str):
        return None
    return client["host"], str(client.get("port", ""))
