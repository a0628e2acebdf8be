# SPDX-License-Identifier: MIT
"""A host runs guests. What it bears is decided here from numbers that the system room reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLoad:
    """One reading. Memory in MiB, as much as an allocation would get. `..._pressure` is the share of the last ten seconds in which
    something waited (PSI 'some avg10', percent). The others count up since the host's boot: `..._stalled_us` the time in which something
    waited for a processor, or all work stood still for the disk or for memory; `disk_requests` and `disk_wait_ms` what the disk of the
    guests has served, and the sum of the requests' times; `out_of_memory` processes that the kernel killed because there was none left.
    None where the kernel or the file system does not tell.
    """

    memory_total_mib: int
    memory_available_mib: int
    cpus: int
    disk_free_mib: int
    cpu_pressure: float | None = None
    io_pressure: float | None = None
    memory_pressure: float | None = None
    cpu_stalled_us: int | None = None
    io_stalled_us: int | None = None
    memory_stalled_us: int | None = None
    disk_requests: int | None = None
    disk_wait_ms: int | None = None
    out_of_memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """`memory_reserve_mib` is left to the host itself; `starts_at_once` is the most there may be in parallel (default: domain.bearing)."""

    name: str
    memory_reserve_mib: int = 512
    disk_reserve_mib: int = 1024
    starts_at_once: int | None = None
    max_guests: int | None = None
    in_service: bool = True
    """False: no new guests are placed here; running ones stay (S1-11)."""
    note: str = ""


GUEST_OVERHEAD_MIB = 96
"""QEMU's own memory beside the guest's RAM (measured 20 to 50 MiB private, plus TCG's translation buffer): a safe bound."""

CLONE_PART = 4
"""A clone shares its template's memory until it writes: for its first half minute a fourth of its own is promised to it. Tiny guests wrote
3 % of theirs while they became somebody of their own; afterwards free memory says what they take."""


def promised_mib(memory_mib: int, *, clone: bool) -> int:
    """What of the host's memory a guest with so much is likely to take soon, its QEMU's own included."""
    return (memory_mib // CLONE_PART if clone else memory_mib) + GUEST_OVERHEAD_MIB


SAID_MIB = 64
"""Free memory is told in such steps: it changes all the time, and who waits is not to be told each time."""


def full(host: Host, load: HostLoad, running: int, committed_mib: int, wanted_mib: int) -> str:
    """Why this host cannot take a guest of `wanted_mib`; empty when it can.

    `committed_mib` is the memory promised to guests that are starting or have not touched theirs yet: it counts as used
    although the host still shows it free.
    """
    if not host.in_service:
        return f"the host {host.name} is in service: no new guests are started there"
    if host.max_guests is not None and running >= host.max_guests:
        return f"the host {host.name} runs its {host.max_guests} guests"
    need = wanted_mib + GUEST_OVERHEAD_MIB
    free = load.memory_available_mib - committed_mib - host.memory_reserve_mib
    if need > free:
        left = max(free, 0) // SAID_MIB * SAID_MIB
        return f"the host {host.name} has about {left} MiB of memory left and this guest needs {need} MiB"
    if load.disk_free_mib < host.disk_reserve_mib:
        return f"the host {host.name} has only {load.disk_free_mib} MiB of disk left"
    return ""
