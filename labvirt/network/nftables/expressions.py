# SPDX-License-Identifier: MIT
"""The few words of libnftables JSON that our rules are made of (libnftables-json(5)). PURE; no rule is decided here."""

from __future__ import annotations

import functools
from typing import Any

Command = dict[str, Any]
Statement = dict[str, Any]
Expression = dict[str, Any]


def field(protocol: str, name: str) -> Expression:
    """A field of a packet's header, like field("ip", "saddr")."""
    return {"payload": {"protocol": protocol, "field": name}}


def meta(key: str) -> Expression:
    """What the kernel knows of a packet, like meta("iifname"). A name that ends in * stands for all that begin so."""
    return {"meta": {"key": key}}


def both(*parts: Any) -> Expression:
    """Several things looked at as one (a concatenation)."""
    return {"concat": list(parts)}


def span(first: Any, last: Any) -> Expression:
    """All from first to last, both included."""
    return {"range": [first, last]}


def masked(value: Expression, mask: Any) -> Expression:
    """Only these bits of `value`; a list names flags."""
    if isinstance(mask, list):
        # nft 1.0 joins two at a time only.
        mask = functools.reduce(lambda left, right: {"|": [left, right]}, mask)
    return {"&": [value, mask]}


def equals(left: Expression, right: Any) -> Statement:
    return {"match": {"op": "==", "left": left, "right": right}}


def unequal(left: Expression, right: Any) -> Statement:
    return {"match": {"op": "!=", "left": left, "right": right}}


def is_in(left: Expression, name: str) -> Statement:
    return equals(left, f"@{name}")


def is_not_in(left: Expression, name: str) -> Statement:
    return unequal(left, f"@{name}")


def limited(name: str, per_second: int, burst: int) -> Statement:
    """True for what comes faster through one port; the counts are kept in the set `name`."""
    over = {"limit": {"rate": per_second, "burst": burst, "per": "second", "inv": True}}
    return {"set": {"op": "update", "elem": meta("iifname"), "set": f"@{name}", "stmt": [over]}}


def remember(name: str, element: Expression) -> Statement:
    """The element is in the set `name` and its time starts anew."""
    return {"set": {"op": "update", "elem": element, "set": f"@{name}"}}


def jump(chain: str) -> Statement:
    return {"jump": {"target": chain}}


def accept() -> Statement:
    """No more rules of this hook and table."""
    return {"accept": None}


def drop() -> Statement:
    return {"drop": None}
