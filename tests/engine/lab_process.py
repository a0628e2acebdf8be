# SPDX-License-Identifier: MIT
"""An engine in a process of its own that kills itself (SIGKILL) at the N-th thing it does to the world: `lab_process STATE SEED`, with
verbs of people; `lab_process STATE SEED storm`, while forty terminals ask at once.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labvirt.database.unit_of_work import SqliteUnitOfWork
from labvirt.domain.guest import StopHow
from labvirt.errors import LabVirtError
from labvirt.usecases import asking, power
from tests.engine.simulated import SimLab

SEATS = 5
STORM = 40
"""Terminals of a storm."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class CrashPoint:
    """Counts what is done; dies before or after the one it was set to."""

    def __init__(self, at: int, *, before: bool) -> None:
        self._left = at
        self._before = before
        self._lock = threading.Lock()

    def around(self, deed: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                self._left -= 1
                mine = self._left == 0
            if mine and self._before:
                die()
            result = deed(*arguments, **named)
            if mine:
                die()
            return result

        return counted


def main(state: Path, seed: int, *, storm: bool = False) -> None:
    dice = random.Random(seed)
    sim = SimLab(state)
    point = CrashPoint(dice.randrange(STORM, STORM * 8) if storm else dice.randrange(1, 60), before=dice.random() < 0.5)
    SqliteUnitOfWork.commit = point.around(SqliteUnitOfWork.commit)  # type: ignore[method-assign]
    for door, names in (
        (sim.hypervisor, ("start", "stop")),
        (sim.disks, ("create_run", "remove_run")),
        (sim.kept, ("keep",)),
        (sim.network, ("plug", "unplug", "ensure_lab")),
        (sim.dhcp, ("apply",)),
    ):
        for name in names:
            setattr(door, name, point.around(getattr(door, name)))
    with sim.engine() as engine:
        ports = sim.ports(engine)
        if storm:
            for seat in range(1, STORM + 1):
                asking.ask(ports, f"lab-a-pc{seat}", None)
            threading.Event().wait(30)
            die()
        for _ in range(60):
            name = f"lab-a-{dice.randrange(1, SEATS + 1):02d}"
            wish = dice.choice(["start", "start", "fresh", "stop", "kill", "end"])
            try:
                if wish == "start":
                    power.start(ports, name)
                elif wish == "fresh":
                    power.fresh(ports, name)
                elif wish in ("stop", "kill"):
                    power.stop(ports, name, StopHow.SHUTDOWN if wish == "stop" else StopHow.KILL)
                else:
                    for status in sim.hypervisor.running():
                        if status.run.guest == name:
                            sim.hypervisor.end(status.run, inside=True)
            except LabVirtError:
                continue
            finally:
                threading.Event().wait(dice.random() * 0.02)
    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), storm=sys.argv[3:] == ["storm"])
