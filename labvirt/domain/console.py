# SPDX-License-Identifier: MIT
"""A console: the way to look at one run of a guest, and to type into it, that is not a terminal's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from labvirt.domain.guest import RunId


class ConsoleKind(StrEnum):
    SCREEN = "screen"
    """Its picture, keyboard and pointer: RFB (RFC 6143), without a password of its own."""
    SERIAL = "serial"
    """Its first serial line: bytes both ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What a ticket opens. It belongs to one run: when the guest is started anew, this is over."""

    run: RunId
    lab: str
    kind: ConsoleKind
    view_only: bool

    @property
    def guest(self) -> str:
        return self.run.guest
