# SPDX-License-Identifier: MIT
"""DHCP as firmware and systems speak it: what they say of themselves, and what they hear (RFC 2131, 2132, 4578)."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Protocol

from tests.network import frames
from tests.network.wire import Card

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
SECONDS = 20.0
AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Firmware:
    """`architecture` None: an installed system or the kiosk, which asks for an address only."""

    architecture: int | None
    vendor: str = ""

    @property
    def options(self) -> bytes:
        if self.architecture is None:
            return _option(55, bytes([1, 3, 6, 15]))
        wanted = bytes([1, 3, 6, 15, 43, 60, 66, 67, 93, 97])
        return b"".join(
            (
                _option(55, wanted),
                _option(57, (1472).to_bytes(2, "big")),
                _option(60, f"{self.vendor}:Arch:{self.architecture:05d}:UNDI:003016".encode()),
                _option(93, self.architecture.to_bytes(2, "big")),
                _option(94, b"\x01\x03\x10"),
                _option(97, b"\0" + b"labvirt-machine!"),
            )
        )


SYSTEM = Firmware(None)
BIOS = Firmware(0, "PXEClient")
UEFI = Firmware(7, "PXEClient")
UEFI_9 = Firmware(9, "PXEClient")
UEFI_HTTP = Firmware(16, "HTTPClient")
MACHINES = {"bios": BIOS, "uefi": UEFI, "uefi 9": UEFI_9, "uefi http": UEFI_HTTP, "system": SYSTEM}


@dataclass(frozen=True, slots=True)
class Answer:
    kind: int
    mac: str
    address: IPv4Address
    next_server: IPv4Address
    file: str
    options: dict[int, bytes] = field(default_factory=dict)

    @property
    def server(self) -> IPv4Address:
        return IPv4Address(self.options[54])

    @property
    def lease_seconds(self) -> int:
        return int.from_bytes(self.options[51], "big")

    @property
    def vendor(self) -> str:
        return self.options.get(60, b"").decode()

    def address_of(self, code: int) -> IPv4Address:
        return IPv4Address(self.options[code][:4])


def parse(message: bytes) -> Answer:
    """A BOOTREPLY. The file is in option 67 or in its own field, as the server likes."""
    options, rest = {}, message[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    file = options.get(67) or message[108:236]
    return Answer(
        kind=options[53][0],
        mac=":".join(f"{octet:02x}" for octet in message[28:34]),
        address=IPv4Address(message[16:20]),
        next_server=IPv4Address(message[20:24]),
        file=file.split(b"\0")[0].decode(),
        options=options,
    )


class Line(Protocol):
    """Where a client sends and hears."""

    def send(self, mac: str, message: bytes) -> None: ...

    def hear(self, seconds: float) -> bytes | None:
        """The next answer of a DHCP server; None when there is none for so long."""


class Desk:
    """A cable to the lab's bridge; made inside of its namespace, on `eth0`. Any number of clients, by the MAC they name."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        self._socket.bind(("0.0.0.0", 68))

    def close(self) -> None:
        self._socket.close()

    def send(self, mac: str, message: bytes) -> None:
        self._socket.sendto(message, ("255.255.255.255", 67))

    def send_to(self, server: IPv4Address, port: int, message: bytes) -> None:
        self._socket.sendto(message, (str(server), port))

    def hear(self, seconds: float) -> bytes | None:
        return self._socket.recv(4096) if select.select([self._socket], [], [], seconds)[0] else None


class Guest:
    """A guest's own card, behind the filters of its port."""

    def __init__(self, card: Card) -> None:
        self._card = card

    def send(self, mac: str, message: bytes) -> None:
        nobody, everybody = IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")
        self._card.send(frames.udp(frames.BROADCAST, mac, (nobody, everybody), (68, 67), message))

    def hear(self, seconds: float) -> bytes | None:
        deadline = time.monotonic() + seconds
        while select.select([self._card], [], [], max(0.0, deadline - time.monotonic()))[0]:
            frame = self._card.read()
            if frame is not None and frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[34:36] == b"\0\x43":
                return frame[42:]
        return None


def offers(line: Line, mac: str, firmware: Firmware, enough: Callable[[list[Answer]], bool]) -> list[Answer]:
    """What is offered to this client, until it is enough: it asks again, as clients do. Raises AssertionError when it never is."""
    found: list[Answer] = []
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        line.send(mac, frames.dhcp(1, mac, DISCOVER, firmware.options))
        again = time.monotonic() + AGAIN_SECONDS
        while (message := line.hear(max(0.0, again - time.monotonic()))) is not None:
            answer = parse(message)
            if (answer.mac, answer.kind) == (mac, OFFER):
                found.append(answer)
                if enough(found):
                    return found
    raise AssertionError(f"{mac} was offered {found}")


def boot(line: Line, mac: str, firmware: Firmware, server: IPv4Address) -> Answer:
    """The lease that this client gets from this server."""
    offered = offers(line, mac, firmware, lambda all: all[-1].server == server)[-1]
    wish = _option(50, offered.address.packed) + _option(54, server.packed) + firmware.options
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        line.send(mac, frames.dhcp(1, mac, REQUEST, wish))
        again = time.monotonic() + AGAIN_SECONDS
        while (message := line.hear(max(0.0, again - time.monotonic()))) is not None:
            answer = parse(message)
            if (answer.mac, answer.kind, answer.server) == (mac, ACK, server):
                return answer
    raise AssertionError(f"{mac} got nothing")


def boot_server(desk: Desk, mac: str, own: IPv4Address, firmware: Firmware, server: IPv4Address) -> Answer:
    """What a client that has its address already is told on port 4011 (PXE 2.1, 2.2.3). Raises AssertionError when nothing is."""
    message = bytearray(frames.dhcp(1, mac, REQUEST, firmware.options))
    message[10:12] = b"\0\0"  # it has an address: no broadcast
    message[12:16] = own.packed
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        desk.send_to(server, 4011, bytes(message))
        heard = desk.hear(AGAIN_SECONDS)
        if heard is not None and parse(heard).mac == mac and parse(heard).kind == ACK:
            return parse(heard)
    raise AssertionError(f"{mac} hears nothing from port 4011")


def _option(code: int, value: bytes) -> bytes:
    return bytes([code, len(value)]) + value
