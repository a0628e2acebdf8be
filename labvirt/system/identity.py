# SPDX-License-Identifier: MIT
"""Which process is which. Rules:

1. A process is known by boot, pid and start time together; a bare pid may be somebody else's by now.
2. Signals go through a pidfd that was opened before the identity was compared: what was checked is what gets the
signal.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labvirt.system.machine import boot_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process and no other: `start_ticks` is field 22 of /proc/PID/stat (proc(5)), clock ticks since boot."""

    boot_id: str
    pid: int
    start_ticks: int


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has this pid now; None if there is none, or only its corpse."""
    found = start_ticks_of(pid)
    return None if found is None else ProcessIdentity(boot_id=boot_id(), pid=pid, start_ticks=found)


def is_alive(process: ProcessIdentity) -> bool:
    """Does exactly this process live?"""
    return process.boot_id == boot_id() and start_ticks_of(process.pid) == process.start_ticks


def started_at(process: ProcessIdentity) -> datetime:
    """When it began, by the wall clock: exact to about a second (the boot time in /proc/stat, proc(5))."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            seconds = int(line.split()[1]) + process.start_ticks / os.sysconf("SC_CLK_TCK")
            return datetime.fromtimestamp(seconds, UTC)
    raise OSError("/proc/stat has no btime")


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """`process`, and no other, got the signal.

    False if it is gone (its pid may be another's by now). Raises PermissionError.
    """
    descriptor = _open(process)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def wait_end(process: ProcessIdentity, timeout: float) -> bool:
    """True when the process is gone, False when it lives after `timeout` seconds.

    Works for processes that are not our children.
    """
    descriptor = _open(process)
    if descriptor is None:
        return True
    try:
        return pidfd_readable(descriptor, timeout)
    finally:
        os.close(descriptor)


def pidfd_readable(pidfd: int, timeout: float | None) -> bool:
    poll = select.poll()  # select() stops at descriptor 1023
    poll.register(pidfd, select.POLLIN)  # readable at its end: pidfd_open(2)
    return bool(poll.poll(None if timeout is None else max(0, int(timeout * 1000))))


def writers_of(log: Path) -> tuple[ProcessIdentity, ...]:
    """Every process but ourselves that has `log` as its stdout: how a program is found whose start was interrupted.

    Empty if there is no such file. Processes that we may not look into are passed over.
    """
    try:
        wanted = log.stat(follow_symlinks=False)
    except FileNotFoundError:
        return ()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            identity = identify(int(entry))
            seen = os.stat(f"/proc/{entry}/fd/1")
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended meanwhile, or another user's
            continue
        if identity is not None and (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(identity)
    return tuple(found)


def open_pidfd(process: ProcessIdentity) -> int | None:
    """A descriptor that becomes readable when exactly this process ends; None if it is gone. The caller closes it."""
    return _open(process)


def _open(process: ProcessIdentity) -> int | None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if is_alive(process):  # compared after opening: from here the number cannot change its owner under us
        return descriptor
    os.close(descriptor)
    return None


def start_ticks_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may hold spaces and brackets itself, so the fields are counted from its end: state is field
    # 3.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])
