# SPDX-License-Identifier: MIT
"""A process that does one job of a state folder: `python -m tests.unit.usecases.worker STATE NUMBER`.

Its deed writes a line into the file `deed.txt` for each time it is begun, and stays where its subject says: 'hang' within a step,
'die' kills itself, else it ends well.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from labvirt.system.clock import SystemClock
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task
from tests.fakes.ports import ports_in


def main(state: Path, number: int) -> int:
    def deed(ports: Ports, task: Task) -> Mapping[str, str]:
        with (state / "deed.txt").open("a") as file:
            file.write(f"{os.getpid()} attempt {task.job.attempts}\n")
        task.step("the first half")
        if task.job.subject == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task.job.subject == "hang":
            print("hangs", flush=True)
            task.sleep(600)
        task.step("the second half")
        return {"done by": str(os.getpid())}

    jobs.deed_of = lambda kind: deed  # type: ignore[attr-defined]
    job = jobs.run(ports_in(state, clock=SystemClock()), number)
    print("somebody else" if job is None else job.state, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2])))
