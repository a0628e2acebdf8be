# SPDX-License-Identifier: MIT
"""Processes that kill themselves (SIGKILL) while they make, remove or freeze a template.

`python -m tests.contracts.template_deaths RUNS RUN NAME` freezes a prepared run, and dies when its file of this name is opened, or made.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from labvirt.domain.guest import RunId
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.hypervisors.qemu.driver import QemuHypervisor
from labvirt.hypervisors.template_manifest import RAM, STATE, disk_name
from labvirt.hypervisors.template_shelf import Shelf

NAME = TemplateName("desktop", 1)
TOUCHING = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.chown", "os.truncate", "os.scandir", "fcntl.flock"}
"""Audit events of Python (docs.python.org, audit_events) around which the disk changes."""


def make(folder: Path) -> None:
    template = Template(
        name=NAME,
        made_from=MadeFrom(disks=(), machine="0" * 64, ground=Ground(hypervisor="test 1", accelerator="none")),
        made_at=datetime.now(UTC),
    )
    with Shelf(folder / "templates").making(template) as stage:
        state = stage.create(STATE)
        os.write(state, b"state")
        os.close(state)
        stage.add(STATE)
        for name in (RAM, disk_name(0)):
            stage.copy(folder / "source", name)


def remove(folder: Path) -> None:
    Shelf(folder / "templates").remove(NAME)


def dies_on_shelf(deed: Callable[[Path], None], folder: Path, last: int) -> bool:
    """A process that does this has killed itself at its call number `last` that touches a file; False when it has not that many."""
    pid = os.fork()  # not a new interpreter: there are dozens of these deaths
    if not pid:
        try:
            _die_at(last)
            deed(folder)
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _die_at(last: int) -> None:
    count = 0

    def watch(event: str, _: object) -> None:
        nonlocal count
        if event in TOUCHING:
            count += 1
            if count == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def freeze(runs: Path, run: RunId, last: str) -> None:
    def watch(event: str, told: tuple[object, ...]) -> None:
        if event == "open" and last in Path(str(told[0])).name:
            os.kill(os.getpid(), signal.SIGKILL)

    driver = QemuHypervisor(runs=runs, choice="tcg")
    sys.addaudithook(watch)
    driver.templates().freeze(run, NAME, ())
    driver.close()


if __name__ == "__main__":
    freeze(Path(sys.argv[1]), RunId.parse(sys.argv[2]), sys.argv[3])
