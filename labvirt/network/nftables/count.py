# SPDX-License-Identifier: MIT
"""How many transactions have changed the packet filter of this network namespace, whoever made them.

Asked with 20 bytes by hand, and not through pyroute2's NFTSocket: that brings an event loop of its own, which costs a millisecond to open
for each question, and must be closed by somebody if it is kept.
"""

from __future__ import annotations

import socket
import struct

from labvirt.errors import NetworkError

LAST = (1 << 32) - 1

_NETLINK_NETFILTER = 12
"""linux/netlink.h"""
_GETGEN, _NEWGEN = 10 << 8 | 16, 10 << 8 | 15
"""linux/netfilter/nfnetlink.h: NFNL_SUBSYS_NFTABLES (10) in the upper byte; nf_tables.h: NFT_MSG_GETGEN, NFT_MSG_NEWGEN."""
_QUESTION = struct.pack("=IHHIIBBH", 20, _GETGEN, 1, 1, 0, 0, 0, 0)
"""struct nlmsghdr (length, type, NLM_F_REQUEST, sequence, port), struct nfgenmsg (family, version, id)."""
_ATTRIBUTES = 20
_GEN_ID = 1
"""linux/netfilter/nf_tables.h, NFTA_GEN_ID: big-endian uint32."""


def count() -> int:
    """As of now, 1 to LAST. Raises NetworkError."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER) as kernel:
            kernel.send(_QUESTION)
            answer = kernel.recv(4096)
    except OSError as error:
        raise NetworkError("The kernel does not say if the packet filter has changed.", operation="count", subject="nftables") from error
    found = parse(answer)
    if found is None:
        raise NetworkError("The kernel's answer about the packet filter cannot be read.", operation="count", subject="nftables")
    return found


def following(count: int) -> int:
    """What it is after one change more: 1 after LAST (net/netfilter/nf_tables_api.c: `while (++nft_net->base_seq == 0)`)."""
    return count + 1 if count < LAST else 1


def parse(answer: bytes) -> int | None:
    """What the kernel's message says; None when it is none of that kind."""
    if len(answer) < _ATTRIBUTES or struct.unpack_from("=H", answer, 4)[0] != _NEWGEN:
        return None
    at = _ATTRIBUTES
    while at + 8 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == _GEN_ID:
            return int(struct.unpack_from(">I", answer, at + 4)[0])
        if length < 4:
            return None
        at += (length + 3) & ~3  # NLA_ALIGN
    return None
