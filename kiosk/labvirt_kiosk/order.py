# SPDX-License-Identifier: MIT
"""What the controller may order a terminal to do with itself, as the answer to a heartbeat says it."""

from __future__ import annotations

from dataclasses import dataclass

WORDS = {"restart": "reboot", "shutdown": "poweroff"}
"""What the controller says -> what the machine is told (power.py)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """`number` is the controller's: with it the order is confirmed."""

    word: str
    number: int


def parse(body: bytes) -> Order | None:
    """The order in a heartbeat's answer. None without one, and for what this kiosk does not know."""
    fields: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").splitlines()[:20]:
        key, equals, value = line.partition("=")
        if equals:
            fields.setdefault(key, value)
    word, number = fields.get("order", ""), fields.get("order_id", "")
    if word not in WORDS or not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    return Order(word=word, number=int(number))
