# SPDX-License-Identifier: MIT
"""Keeps contracts.trials.Trials with two folders: profiles' check files, and the pictures of canaries."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.checks import files, listening, pictures, runner
from labvirt.contracts.trials import CheckReport, Shown, TrialGuest

ANSWER_SECONDS = 1.0


class GuestTrials:
    """Keeps contracts.trials.Trials."""

    def __init__(self, checks: Path, canaries: Path) -> None:
        """Both folders exist (0700)."""
        self._checks = checks
        self._canaries = canaries

    def answers(self, address: IPv4Address, port: int) -> bool:
        try:
            with socket.create_connection((str(address), port), timeout=ANSWER_SECONDS):
                return True
        except OSError:
            return False

    def overhear(self, folder: Callable[[], Path | None]) -> AbstractContextManager[Callable[[], str]]:
        return listening.overhear(folder)

    def run_checks(
        self, profile: str, names: tuple[str, ...], guest: TrialGuest, *, seconds: float, cancelled: Callable[[], bool]
    ) -> CheckReport:
        return runner.run_checks(self._checks, profile, names, guest, seconds=seconds, cancelled=cancelled)

    def put_check(self, profile: str, name: str, text: str) -> None:
        files.put_check(self._checks, profile, name, text)

    def get_check(self, profile: str, name: str) -> str:
        return files.get_check(self._checks, profile, name)

    def remove_check(self, profile: str, name: str) -> None:
        files.remove_check(self._checks, profile, name)

    def copy_checks(self, profile: str, new_profile: str) -> None:
        files.copy_checks(self._checks, profile, new_profile)

    def look(self, png: bytes) -> Shown | None:
        return pictures.look(png)

    def alike(self, before: bytes, after: bytes) -> bool:
        return pictures.alike(before, after)

    def keep_picture(self, name: str, png: bytes) -> None:
        files.keep_picture(self._canaries, name, png)

    def picture(self, name: str) -> bytes:
        return files.picture(self._canaries, name)

    def picture_names(self) -> tuple[str, ...]:
        return files.picture_names(self._canaries)

    def remove_picture(self, name: str) -> None:
        files.remove_picture(self._canaries, name)
