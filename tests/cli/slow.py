# SPDX-License-Identifier: MIT
"""`labvirt` of a state folder, without an engine, whose jobs all read 100 MiB and then wait until the file STATE/go is there:
`python -m tests.cli.slow STATE WORDS...`. For looking at what people see meanwhile.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from labvirt import bootstrap
from labvirt.cli.main import Root
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task

MIB = 1 << 20


def main(state: Path, words: list[str]) -> None:
    def deed(ports: Ports, task: Task) -> Mapping[str, str]:
        task.step("first of all\x1b[2J")
        task.sleep(1)
        task.step("reading", total=100 * MIB, unit="bytes")
        task.progress(50 * MIB, 100 * MIB)
        task.flush()
        while not (state / "go").exists():
            task.sleep(0.05)
        task.step("writing")
        return {"versions": "1"}

    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a person's terminal, whatever started the tests had ignored
    jobs.deed_of = lambda kind: deed  # type: ignore[attr-defined]
    Root(bootstrap.app()).main(["--state", str(state), *words])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
