# SPDX-License-Identifier: MIT
"""Frames made by hand, honest and forged ones."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "00:00:00:00:00:00"
SYN, RST, ACK = 0x02, 0x04, 0x10


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ethernet(target: str, source: str, kind: int, payload: bytes) -> bytes:
    return mac(target) + mac(source) + struct.pack("!H", kind) + payload


def arp(target: str, source: str, operation: int, sender: tuple[str, IPv4Address], wanted: tuple[str, IPv4Address]) -> bytes:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    body += mac(sender[0]) + sender[1].packed + mac(wanted[0]) + wanted[1].packed
    return ethernet(target, source, 0x0806, body)


def ipv4(target: str, source: str, ends: tuple[IPv4Address, IPv4Address], protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, ends[0].packed, ends[1].packed)
    head = head[:10] + struct.pack("!H", _sum(head)) + head[12:]
    return ethernet(target, source, 0x0800, head + payload)


def udp(target: str, source: str, ends: tuple[IPv4Address, IPv4Address], ports: tuple[int, int], payload: bytes = b"") -> bytes:
    return ipv4(target, source, ends, 17, struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload)


def tcp(target: str, source: str, ends: tuple[IPv4Address, IPv4Address], ports: tuple[int, int], flags: int) -> bytes:
    head = struct.pack("!HHIIBBHHH", *ports, 1000, 1 if flags & ACK else 0, 5 << 4, flags, 1024, 0, 0)
    pseudo = ends[0].packed + ends[1].packed + struct.pack("!BBH", 0, 6, len(head))
    head = head[:16] + struct.pack("!H", _sum(pseudo + head)) + head[18:]
    return ipv4(target, source, ends, 6, head)


def icmpv6(target: str, source: str, kind: int, body: bytes) -> bytes:
    ends = IPv6Address("fe80::bad").packed + IPv6Address("ff02::1").packed
    message = struct.pack("!BBH", kind, 0, 0) + body
    message = message[:2] + struct.pack("!H", _sum(ends + struct.pack("!IHBB", len(message), 0, 0, 58) + message)) + message[4:]
    return ethernet(target, source, 0x86DD, struct.pack("!IHBB", 0x60000000, len(message), 58, 255) + ends + message)


def dhcp(operation: int, client: str, kind: int, options: bytes = b"", xid: int = 0x4C560001) -> bytes:
    """A DHCP message, from the BOOTP head on, that wants broadcast answers (RFC 2131, 2; RFC 2132, 9.6)."""
    head = struct.pack("!BBBBIHH", operation, 1, 6, 0, xid, 0, 0x8000) + bytes(16) + mac(client).ljust(16, b"\0") + bytes(192)
    return head + bytes([99, 130, 83, 99, 53, 1, kind]) + options + b"\xff"


def _sum(data: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
