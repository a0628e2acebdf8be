# SPDX-License-Identifier: MIT
"""Any number of DHCP clients on one card, made by hand: they differ by the hardware address they name (RFC 2131)."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from tests.network import frames

DISCOVER, OFFER, REQUEST, ACK, NAK = 1, 2, 3, 5, 6
SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Offer:
    """`server`: where the boot file is (siaddr). `file`: as in the message's head, or option 67."""

    address: IPv4Address
    server: IPv4Address
    file: str
    options: dict[int, bytes]


class Client:
    """Made inside of a namespace, on its `eth0`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        self._socket.bind(("255.255.255.255", 68))

    def close(self) -> None:
        self._socket.close()

    def discover(self, mac: str) -> None:
        self._send(frames.dhcp(1, mac, DISCOVER))

    def request(self, mac: str, address: IPv4Address, server: IPv4Address | None = None) -> None:
        """With `server` the answer to an offer, without it a client that comes back after a boot."""
        options = b"\x32\x04" + address.packed + (b"\x36\x04" + server.packed if server else b"")
        self._send(frames.dhcp(1, mac, REQUEST, options))

    def answers(self, enough: Callable[[list[tuple[str, int, IPv4Address]]], bool]) -> list[tuple[str, int, IPv4Address]]:
        """(MAC, kind, address) of what the server says, until it is enough; raises AssertionError if it never is."""
        found: list[tuple[str, int, IPv4Address]] = []
        deadline = time.monotonic() + SECONDS
        while not enough(found):
            assert select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0], found
            found.append(self._read())
        return found

    def boot(self, mac: str, server: IPv4Address) -> IPv4Address:
        """The address that a client with this MAC gets. It asks again when nobody answers, as clients do."""
        offered = self._insist(lambda: self.discover(mac), mac, OFFER)
        return self._insist(lambda: self.request(mac, offered, server), mac, ACK)

    def offered(self, mac: str, options: bytes) -> Offer:
        """What a client that says this is offered; it takes nothing."""
        for _ in range(10):
            self._send(frames.dhcp(1, mac, DISCOVER, options))
            deadline = time.monotonic() + 2
            while select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                message = self._socket.recv(2048)
                told = _options(message[240:])
                if _mac(message) == mac and told.get(53) == bytes([OFFER]):
                    file = (message[108:236].split(b"\0")[0] or told.get(67, b"")).decode().rstrip("\0")
                    return Offer(address=IPv4Address(message[16:20]), server=IPv4Address(message[20:24]), file=file, options=told)
        raise AssertionError(f"nobody answers {mac}")

    def _insist(self, ask: Callable[[], None], mac: str, kind: int) -> IPv4Address:
        for _ in range(10):
            ask()
            deadline = time.monotonic() + 2
            while select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                found = self._read()
                if found[:2] == (mac, kind):
                    return found[2]
        raise AssertionError(f"nobody answers {mac}")

    def _read(self) -> tuple[str, int, IPv4Address]:
        message = self._socket.recv(2048)
        return _mac(message), message[message.index(b"\x35\x01", 240) + 2], IPv4Address(message[16:20])

    def _send(self, message: bytes) -> None:
        self._socket.sendto(message, ("255.255.255.255", 67))


def _mac(message: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in message[28:34])


def _options(field: bytes) -> dict[int, bytes]:
    """RFC 2132, 2: code, length, value; 0 fills, 255 ends."""
    found: dict[int, bytes] = {}
    place = 0
    while place < len(field) and field[place] != 255:
        if field[place] == 0:
            place += 1
            continue
        size = field[place + 1]
        found[field[place]] = field[place + 2 : place + 2 + size]
        place += 2 + size
    return found
