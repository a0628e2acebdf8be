# SPDX-License-Identifier: MIT
"""What this machine is and bears now: boot, memory, processors, free disk, pressure. Reads /proc and /sys only and
judges nothing.

The fields of a Reading are named like those of domain.host.HostLoad, which this room may not know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labvirt.system import disk_statistics, memory_limit, pressure

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading. Memory and disk in MiB; `..._pressure` is PSI 'some avg10' in percent, None where the kernel has none.
    What ends in `_us` and `disk_...` counts up since the host's boot; None where it is not to be had.
    """

    memory_total_mib: int
    memory_available_mib: int
    cpus: int
    disk_free_mib: int
    cpu_pressure: float | None
    io_pressure: float | None
    memory_pressure: float | None
    cpu_stalled_us: int | None
    io_stalled_us: int | None
    memory_stalled_us: int | None
    disk_requests: int | None
    disk_wait_ms: int | None
    out_of_memory: int | None


def read_load(disk: Path) -> Reading:
    """The load now; `disk` is any existing path on the file system that takes the guests' writes. Raises OSError.

    Memory is what an allocation would get: the kernel's estimate, and no more than is left below a limit of our own control group.
    """
    memory = _meminfo()
    limit = memory_limit.available_mib()
    available = memory["MemAvailable"] // 1024
    cpu, io, short = pressure.read("cpu"), pressure.read("io"), pressure.read("memory")
    counted = disk_statistics.read(disk)
    return Reading(
        memory_total_mib=memory["MemTotal"] // 1024,
        memory_available_mib=available if limit is None else min(available, limit),
        cpus=len(os.sched_getaffinity(0)),
        disk_free_mib=disk_free_mib(disk),
        cpu_pressure=cpu.some_avg10 if cpu else None,
        io_pressure=io.some_avg10 if io else None,
        memory_pressure=short.some_avg10 if short else None,
        cpu_stalled_us=cpu.some_us if cpu else None,
        io_stalled_us=io.full_us if io else None,
        memory_stalled_us=short.full_us if short else None,
        disk_requests=counted.requests if counted else None,
        disk_wait_ms=counted.wait_ms if counted else None,
        out_of_memory=out_of_memory(),
    )


def disk_free_mib(path: Path) -> int:
    """MiB that an ordinary user may still write there (statvfs f_bavail). Raises OSError."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize // _MIB


@cache
def boot_id() -> str:
    """Changes with every boot of the host. Raises OSError."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def kernel_release() -> str:
    """As `uname -r` says it."""
    return os.uname().release


def cpu_model() -> str:
    """The processor's own name for itself; empty where the kernel does not tell."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def out_of_memory() -> int | None:
    """How many processes the kernel has killed since its boot because memory had run out; None before Linux 4.13."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), None)


def _meminfo() -> dict[str, int]:
    """/proc/meminfo in KiB."""
    found = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        found[key] = int(value.split()[0])
    return found
