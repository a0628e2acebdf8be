# SPDX-License-Identifier: MIT
"""How many starts at once a host bears, found out while it starts them: one more as long as nothing stands still, half when something
does. Pure.

What stood still comes from the kernel (PSI, as differences of its counters: its own averages lag by ten seconds, and a rule that hears
late swings). Processors that are busy are no trouble: fewer starts than processors would leave some idle. So they stop the growth and
take back what is above their number, while the disk and memory may take it down to one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from labvirt.domain.host import HostLoad

WINDOW_SECONDS = 2.0
"""So much time lies at least between two judgements: shorter, and one big write looks like a slow disk."""
STALE_SECONDS = 15.0
"""What lies so far back says nothing of this storm."""

CPU_PERCENT = 80.0
"""Something waited for a processor for this share of the time: more at once end no sooner."""
IO_PERCENT = 25.0
"""All that had work stood still for the disk for this share of the time."""
MEMORY_PERCENT = 5.0
"""Or for memory: psi.rst's own example of a trigger; what comes next is the out-of-memory killer."""
DISK_MS = 100.0
"""One request took so long: a disk that turns, with a queue. Counts only where the kernel has no PSI."""

NO_MEMORY_LEFT = "memory ran out: the kernel had to end something"

REST_SECONDS = 8.0
"""After a step down nothing changes for so long: starts that were let through before it go on, and their load is not the new number's."""
CEILING_SECONDS = 60.0
"""So long the number that was too much is not tried again."""
STARTS_PER_CPU = 4
"""The most that is tried where nobody has set another bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strain:
    """What was lacking between two readings: share of the time in percent; `disk_ms` for each request. None: not known."""

    cpu: float | None = None
    io: float | None = None
    memory: float | None = None
    disk_ms: float | None = None
    killed: int = 0
    """Processes that the kernel killed for want of memory."""


def strain(before: HostLoad, after: HostLoad, seconds: float) -> Strain:
    """Between two readings that lie so many seconds apart. Counters that went backwards (another boot) say nothing."""

    def share(old: int | None, new: int | None) -> float | None:
        if old is None or new is None or new < old or seconds <= 0:
            return None
        return min(100.0, (new - old) / 10_000 / seconds)

    requests = (after.disk_requests or 0) - (before.disk_requests or 0)
    waited = (after.disk_wait_ms or 0) - (before.disk_wait_ms or 0)
    return Strain(
        cpu=share(before.cpu_stalled_us, after.cpu_stalled_us),
        io=share(before.io_stalled_us, after.io_stalled_us),
        memory=share(before.memory_stalled_us, after.memory_stalled_us),
        disk_ms=waited / requests if before.disk_requests is not None and requests > 0 and waited >= 0 else None,
        killed=killed(before, after),
    )


def killed(before: HostLoad, after: HostLoad) -> int:
    """How many processes fell to the out-of-memory killer between these."""
    return max(0, after.out_of_memory - before.out_of_memory) if before.out_of_memory is not None and after.out_of_memory is not None else 0


def trouble(strained: Strain) -> str:
    """What no start may make worse, as a sentence without a full stop; empty when memory and disk are well."""
    if strained.killed:
        return NO_MEMORY_LEFT
    if strained.memory is not None and strained.memory > MEMORY_PERCENT:
        return f"memory is short: all work stood still for it in {strained.memory:.0f} % of the time"
    takes = f", a request takes {strained.disk_ms:.0f} ms" if strained.disk_ms is not None else ""
    if strained.io is not None and strained.io > IO_PERCENT:
        return f"the disk is slow: all work stood still for it in {strained.io:.0f} % of the time{takes}"
    if strained.io is None and strained.disk_ms is not None and strained.disk_ms > DISK_MS:
        return f"the disk is slow{takes}"
    return ""


def busy(strained: Strain) -> str:
    """The same of the processors."""
    if strained.cpu is None or strained.cpu <= CPU_PERCENT:
        return ""
    return f"the processors are busy: something waited for one in {strained.cpu:.0f} % of the time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """`starts` may go on at once now, between 1 and `most`; `why` is what keeps it from being more (empty: nothing, or nobody waits)."""

    starts: int
    most: int
    why: str = ""
    rest_until: float = float("-inf")
    ceiling: int | None = None
    ceiling_until: float = float("-inf")

    def bounded(self, most: int) -> Bearing:
        """Somebody has set another bound."""
        return self if most == self.most else replace(self, most=most, starts=max(1, min(self.starts, most)))

    def after(self, strained: Strain, *, cpus: int, wanted: bool, now: float) -> Bearing:
        """The next one. `wanted`: all are in use, and somebody waits."""
        if why := trouble(strained):
            if now < self.rest_until:  # of the number before, perhaps
                return replace(self, why=why)
            return replace(
                self,
                starts=max(1, self.starts // 2),
                why=why,
                ceiling=self.starts if self.starts > 1 else None,  # with one start only, it is not the starts
                ceiling_until=now + CEILING_SECONDS,
                rest_until=now + REST_SECONDS,
            )
        ceiling = self.ceiling if now < self.ceiling_until else None
        calm = replace(self, ceiling=ceiling)
        enough = max(1, min(self.most, cpus))
        if why := busy(strained):
            lower = self.starts if self.starts <= enough else max(enough, self.starts * 3 // 4)
            return replace(calm, starts=lower, why=why if wanted or lower < self.starts else "")
        if not wanted:
            return replace(calm, why="")
        if strained.cpu is None and self.starts >= enough:
            return replace(calm, why="this kernel does not tell how busy the host is (no PSI), so no more are tried than it has processors")
        if now < self.rest_until:
            return calm
        if self.starts >= self.most:
            return replace(calm, why=f"no more than {self.most} are tried at once")
        if ceiling is not None and self.starts + 1 >= ceiling:
            return replace(calm, why=self.why or f"{ceiling} were too many a moment ago")
        return replace(calm, starts=self.starts + 1, why="")


def first(*, most: int | None, cpus: int) -> Bearing:
    """Before anything is known: what somebody has set, else one for each processor."""
    if most is not None:
        return Bearing(starts=max(1, most), most=max(1, most))
    return Bearing(starts=max(1, cpus), most=max(1, cpus * STARTS_PER_CPU))


def most_of(most: int | None, cpus: int) -> int:
    """The bound that counts."""
    return max(1, most if most is not None else cpus * STARTS_PER_CPU)
