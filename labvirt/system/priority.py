# SPDX-License-Identifier: MIT
"""Who comes first when processors are short."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from labvirt.system.identity import ProcessIdentity, is_alive

GUEST_NICE = 19
"""A thread with it gets a sixty-eighth of what one without it gets where both want one processor, and else all that it wants
(kernel/sched/core.c, sched_prio_to_weight: 15 to 1024). With nice 10 (110) it was a hundred guests that outweighed each start ten times."""


def give_way(process: ProcessIdentity, nice: int = GUEST_NICE) -> None:
    """All of its threads, and what they will start, come after who has not given way. One that has ended, or that is not ours to change,
    stays as it is."""
    try:
        threads = [int(each) for each in os.listdir(f"/proc/{process.pid}/task")]
    except OSError:
        return
    if not is_alive(process):  # the number may be another's by now
        return
    for thread in threads:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, thread, nice)
    # Where the kernel groups by session (sched(7), autogroup), a nice value counts inside of the group only: the group has its own.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text(f"{nice}\n")
