# SPDX-License-Identifier: MIT
"""What this machine is and bears now: boot, memory, processors, free disk, pressure. Reads /proc only and judges
nothing.

The fields of a Reading are named like those of domain.host.HostLoad, which this room may not know.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading. Memory and disk in MiB; `cpu_pressure` is PSI 'some avg10' in percent, None where the kernel has
    none.
    """

    memory_total_mib: int
    memory_available_mib: int
    cpus: int
    disk_free_mib: int
    cpu_pressure: float | None


def read_load(disk: Path) -> Reading:
    """The load now; `disk` is any existing path on the file system that takes the guests' writes. Raises OSError."""
    memory = _meminfo()
    return Reading(
        memory_total_mib=memory["MemTotal"] // 1024,
        memory_available_mib=memory["MemAvailable"] // 1024,
        cpus=len(os.sched_getaffinity(0)),
        disk_free_mib=disk_free_mib(disk),
        cpu_pressure=cpu_pressure(),
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


def cpu_pressure() -> float | None:
    """PSI 'some avg10' of the processors in percent (Documentation/accounting/psi.rst); None where the kernel has
    none.
    """
    try:
        first = Path("/proc/pressure/cpu").read_text(encoding="ascii").split("\n", 1)[0]
    except OSError:  # built without PSI, or started with psi=0: then reading answers EOPNOTSUPP
        return None
    for word in first.split():
        name, _, value = word.partition("=")
        if name == "avg10":
            return float(value)
    return None


def _meminfo() -> dict[str, int]:
    """/proc/meminfo in KiB."""
    found = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        found[key] = int(value.split()[0])
    return found
