# SPDX-License-Identifier: MIT
"""The pytest plugin of check files: the fixture `guest`, and a report of each item as one line of JSON on a descriptor.

Lines: {"collected": [...]}, {"broken": ID, "said": ...}, {"begun": ID}, {"done": ID, "ok": ..., "said": ..., "seconds": ...}.
Whoever reads them believes nothing: the check files run in this same process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import pytest

from .guest import Guest

REPORT_VARIABLE = "LABVIRT_CHECK_REPORT"
SAID_LENGTH = 500


@pytest.fixture(scope="session")
def guest() -> Guest:
    """The guest on trial."""
    return Guest.from_environment()


class Report:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seconds: dict[str, float] = {}
        self._said: dict[str, tuple[bool, str]] = {}

    def tell(self, **words: object) -> None:
        data = json.dumps(words).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.tell(broken=report.nodeid, said=_last_line(report.longreprtext))

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        self.tell(collected=[item.nodeid for item in items])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._seconds[nodeid], self._said[nodeid] = 0.0, (True, "")
        self.tell(begun=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            said = str(getattr(crash, "message", "")) or _last_line(report.longreprtext)
            self._said[report.nodeid] = (False, said.strip().splitlines()[0] if said.strip() else "failed")
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self._said[report.nodeid] = (True, f"skipped: {str(reason).removeprefix('Skipped: ')}")
        if report.when == "teardown":
            ok, said = self._said[report.nodeid]
            self.tell(done=report.nodeid, ok=ok, said=said[:SAID_LENGTH], seconds=round(self._seconds[report.nodeid], 3))


def pytest_configure(config: pytest.Config) -> None:
    number = os.environ.pop(REPORT_VARIABLE, "")
    if number:
        config.pluginmanager.register(Report(int(number)), "labvirt-report")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("E ").strip()[:SAID_LENGTH] if lines else "cannot be loaded"
