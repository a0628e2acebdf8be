# SPDX-License-Identifier: MIT
"""Hands for a guest on trial that find what the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.checks import pictures
from labvirt.contracts.trials import CheckReport, Shown, TrialGuest
from labvirt.domain.canary import CanaryStep


class FakeTrial:
    """Keeps what canaries use of contracts.trials.Trials. `shut`: ports that do not answer; `wrong`: checks that fail."""

    def __init__(self) -> None:
        self.shut = False
        self.wrong: set[str] = set()
        self.asked: list[tuple[IPv4Address, int]] = []
        self.pictures: dict[str, bytes] = {}
        self.guests: list[TrialGuest] = []

    def answers(self, address: IPv4Address, port: int) -> bool:
        self.asked.append((address, port))
        return not self.shut

    @contextmanager
    def overhear(self, folder: Callable[[], Path | None]) -> Iterator[Callable[[], str]]:
        yield lambda: "booted\n"

    def run_checks(
        self, profile: str, names: tuple[str, ...], guest: TrialGuest, *, seconds: float, cancelled: Callable[[], bool]
    ) -> CheckReport:
        self.guests.append(guest)
        steps = tuple(CanaryStep(name=f"check {name}", ok=name not in self.wrong, said="") for name in names)
        return CheckReport(steps=steps, log="pytest said this\n")

    def look(self, png: bytes) -> Shown | None:
        return pictures.look(png)

    def keep_picture(self, name: str, png: bytes) -> None:
        self.pictures[name] = png

    def picture(self, name: str) -> bytes:
        return self.pictures[name]

    def put_check(self, profile: str, name: str, text: str) -> None:
        raise NotImplementedError

    def get_check(self, profile: str, name: str) -> str:
        raise NotImplementedError

    def remove_check(self, profile: str, name: str) -> None:
        raise NotImplementedError

    def copy_checks(self, profile: str, new_profile: str) -> None:
        raise NotImplementedError
