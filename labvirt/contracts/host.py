# SPDX-License-Identifier: MIT
"""The door to the machine itself: its load and its boot."""

from __future__ import annotations

from typing import Protocol

from labvirt.domain.host import HostLoad


class Machine(Protocol):
    def load(self) -> HostLoad:
        """One reading now."""

    def demand_seconds(self, pid: int) -> float | None:
        """Processor time that all threads of this process have had or waited for, since each began: how much it wants, however little it
        gets. None when it has ended, or the kernel does not tell."""

    def boot_id(self) -> str:
        """Changes with every boot of the host (/proc/sys/kernel/random/boot_id)."""
