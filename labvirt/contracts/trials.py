# SPDX-License-Identifier: MIT
"""The door to a guest on trial: is its port open, what does its serial line say, what do the profile's own checks find."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from labvirt.domain.canary import CanaryStep


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialGuest:
    """What the hands need to reach it. `folder` has serial.sock and agent.sock (contracts.hypervisor)."""

    name: str
    address: IPv4Address
    mac: str
    folder: Path
    uid: int | None
    screenshot: Callable[[], bytes]
    """PNG; raises LabVirtError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """One step per check (pytest item); `log` is what pytest printed, its last 64 KiB."""

    steps: tuple[CanaryStep, ...]
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a screenshot shows: its measure in pixels, and whether it has one colour all over."""

    width: int
    height: int
    blank: bool


class Trials(Protocol):
    def answers(self, address: IPv4Address, port: int) -> bool:
        """Does something accept a TCP connection there, within a second?"""

    def overhear(self, folder: Callable[[], Path | None]) -> AbstractContextManager[Callable[[], str]]:
        """Inside the block the serial line of the run in `folder()` (None: not yet made) is listened to, and nothing is sent; the value
        gives what was heard so far, its last 16 KiB, printable. Nobody else can use the line meanwhile. Never raises: a line that is not
        there says nothing."""

    def run_checks(
        self, profile: str, names: tuple[str, ...], guest: TrialGuest, *, seconds: float, cancelled: Callable[[], bool]
    ) -> CheckReport:
        """The check files `names` of the profile were run by pytest, in a process without rights that sees them, /usr, and the
        guest's two sockets. A file that is missing or cannot be loaded is a step that is not ok. Ends early when `cancelled` says so.
        Leaves no process."""

    # The files themselves: `profile` and `name` ('office.py') are checked names, the text is at most 256 KiB of UTF-8.

    def put_check(self, profile: str, name: str, text: str) -> None:
        """Written, whole or not at all. Raises InvalidInput (name, or text that is not Python)."""

    def get_check(self, profile: str, name: str) -> str:
        """Raises NotFound."""

    def remove_check(self, profile: str, name: str) -> None: ...
    def copy_checks(self, profile: str, new_profile: str) -> None:
        """For a cloned profile."""

    def look(self, png: bytes) -> Shown | None:
        """None when it is no picture that can be read."""

    def alike(self, before: bytes, after: bytes) -> bool:
        """Do two screenshots show the same, but for a cursor that blinks or a clock that goes on? False when one cannot be read."""

    def keep_picture(self, name: str, png: bytes) -> None:
        """A canary's picture under this name in the canaries folder, whole or not at all."""

    def picture(self, name: str) -> bytes:
        """Raises NotFound."""

    def picture_names(self) -> tuple[str, ...]:
        """The names of all that are kept."""

    def remove_picture(self, name: str) -> None:
        """Absent is fine."""
