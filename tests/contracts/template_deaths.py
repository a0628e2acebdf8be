# SPDX-License-Identifier: MIT
"""Processes that kill themselves (SIGKILL) while they make, remove or freeze a template, or wake a clone of one.

`python -m tests.contracts.template_deaths URI RUNS freeze RUN NAME` freezes a prepared run, and dies when its file of this name is opened,
or made; `... wake SPEC STEP` starts a clone by the pickled LaunchSpec in a file, and dies before the driver asks
libvirt, or QEMU, for this step.
URI '-' is plain QEMU.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labvirt.contracts.hypervisor import Hypervisor, LaunchSpec
from labvirt.domain.guest import RunId
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.hypervisors.libvirt.driver import LibvirtHypervisor
from labvirt.hypervisors.qemu.dialogue import Dialogue
from labvirt.hypervisors.qemu.driver import QemuHypervisor
from labvirt.hypervisors.template_manifest import RAM, STATE, disk_name
from labvirt.hypervisors.template_shelf import Shelf
from tests.contracts.private_libvirt import PROCESSES

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


def driver_of(uri: str, runs: Path) -> Hypervisor:
    """As the workshops make it."""
    if uri == "-":
        return QemuHypervisor(runs=runs, choice="tcg")
    folder = runs.parent
    return LibvirtHypervisor(uri, owner=str(folder), accelerator="tcg", templates=folder / "templates", processes=PROCESSES)


def freeze(driver: Hypervisor, run: RunId, last: str) -> None:
    def watch(event: str, told: tuple[object, ...]) -> None:
        if event == "open" and last in Path(str(told[0])).name:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    driver.templates().freeze(run, NAME, ())
    driver.close()


def wake(driver: Hypervisor, spec: LaunchSpec, step: str) -> None:
    if isinstance(driver, QemuHypervisor):
        execute = Dialogue.execute

        def asked(self: Dialogue, name: str, **named: Any) -> Any:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(self, name, **named)

        Dialogue.execute = asked  # type: ignore[method-assign]
        driver.templates().clone(spec, NAME)
        driver.close()
        return
    assert isinstance(driver, LibvirtHypervisor)
    monitored = driver._monitored

    def watch(operation: str, *words: Any, **named: Any) -> Any:
        if operation == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return monitored(operation, *words, **named)

    driver._monitored = watch  # type: ignore[method-assign]
    driver.templates().clone(spec, NAME)
    driver.close()


if __name__ == "__main__":
    uri, runs, deed, what, last = sys.argv[1:]
    if deed == "freeze":
        freeze(driver_of(uri, Path(runs)), RunId.parse(what), last)
    else:
        wake(driver_of(uri, Path(runs)), pickle.loads(Path(what).read_bytes()), last)  # noqa: S301 - a test wrote it
