# SPDX-License-Identifier: MIT
"""The checks' room with its two folders, and a guest whose run folder is empty until a test puts channels into it."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from PIL import Image

from labvirt.checks.driver import GuestTrials
from labvirt.contracts.trials import CheckReport, TrialGuest
from labvirt.domain.canary import CanaryStep


def png(width: int = 32, height: int = 16, *, second: bool = True) -> bytes:
    image = Image.new("RGB", (width, height), (10, 20, 30))
    if second:
        image.putpixel((width - 1, height - 1), (11, 20, 30))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Room:
    trials: GuestTrials
    guest: TrialGuest
    checks: Path

    def run(
        self, *texts: str, seconds: float = 30, cancelled: Callable[[], bool] = lambda: False, guest: TrialGuest | None = None
    ) -> CheckReport:
        """Each text is one check file: one.py, two.py ..."""
        names = tuple(f"{name}.py" for name in ("one", "two", "three")[: len(texts)])
        for name, text in zip(names, texts, strict=True):
            self.trials.put_check("desk", name, text)
        return self.trials.run_checks("desk", names, guest or self.guest, seconds=seconds, cancelled=cancelled)

    def seen_by(self, screenshot: Callable[[], bytes]) -> TrialGuest:
        return replace(self.guest, screenshot=screenshot)


def by_name(report: CheckReport) -> dict[str, CanaryStep]:
    return {step.name.removeprefix("check "): step for step in report.steps}


@pytest.fixture
def room(tmp_path: Path) -> Room:
    for name in ("checks", "canaries", "run"):
        (tmp_path / name).mkdir(mode=0o700)
    guest = TrialGuest(
        name="lab-a-s01",
        address=IPv4Address("127.0.0.1"),
        mac="02:4c:56:00:0f:f0",
        folder=tmp_path / "run",
        uid=0x2F000000 + os.getpid(),  # nobody else's: real guests may run beside this test
        screenshot=png,
    )
    return Room(trials=GuestTrials(tmp_path / "checks", tmp_path / "canaries"), guest=guest, checks=tmp_path / "checks")
