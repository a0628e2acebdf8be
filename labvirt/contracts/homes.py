# SPDX-License-Identifier: MIT
"""The door to the logins with which guests reach the file server of their homes: files that the administrator has put there."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class HomeLogins(Protocol):
    def has(self, profile: str) -> bool:
        """Is there a login for the guests of this profile?"""

    def put(self, profile: str, folder: Path, uid: int | None) -> None:
        """The run's folder has it as the file HOME_LOGIN (contracts.hypervisor), mode 0600, for the machine's user. Raises Conflict: it is
        too long, not readable, or others than its owner may read it."""
