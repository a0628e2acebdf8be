# SPDX-License-Identifier: MIT
"""The door to the machine itself: its load and its boot."""

from __future__ import annotations

from typing import Protocol

from labvirt.domain.host import HostLoad


class Machine(Protocol):
    def load(self) -> HostLoad:
        """One reading now."""

    def boot_id(self) -> str:
        """Changes with every boot of the host (/proc/sys/kernel/random/boot_id)."""
