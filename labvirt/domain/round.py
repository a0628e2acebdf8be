# SPDX-License-Identifier: MIT
"""One pass over everything that was seen: collects actions, findings and the memory for the next pass. The rules are in plan.py (rows),
living.py (runs that live) and remains.py (what is left of runs).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labvirt.domain import actions as act
from labvirt.domain.brake import brake
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow
from labvirt.domain.observed import Memory, Observation, Tries

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`memory` goes into the next round; `wake` is the monotonic time at which something will be due without any event."""

    actions: tuple[act.Action, ...]
    findings: tuple[Finding, ...]
    memory: Memory
    wake: float | None = None


def pause_seconds(tries: int) -> float:
    """How long to wait after so many tries in a row: 10, 20, 40 s, at most 5 minutes."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** min(tries - 1, 10), LONGEST_PAUSE_SECONDS) if tries > 0 else 0.0


class Round:
    """Lives as long as one call of plan()."""

    def __init__(self, seen: Observation, memory: Memory) -> None:
        self.seen = seen
        self.now = seen.now
        self.old = memory
        self.actions: list[act.Action] = []
        self.findings: list[Finding] = []
        self.unasked: list[act.Stop] = []
        self.unproven = 0
        self.wakes: list[float] = []
        self.suspects: dict[RunId, float] = {}
        self.viewed: set[RunId] = set()
        self.left: dict[RunId, float] = {}
        self.stops: dict[RunId, Tries] = {}
        self.resumes: dict[RunId, Tries] = {}
        self.running_since: dict[RunId, float] = {}
        self.retries: dict[str, tuple[int, float]] = {}
        self.capped: set[RunId] = set()
        self.asked = set(memory.asked)

    def keep(self, name: str) -> None:
        """A busy guest: nothing is concluded, nothing is forgotten but suspicion (that must be seen without a gap)."""
        self.viewed |= {run for run in self.old.viewed if run.guest == name}
        self.left |= {run: at for run, at in self.old.left.items() if run.guest == name}
        self.stops |= {run: tries for run, tries in self.old.stops.items() if run.guest == name}
        self.resumes |= {run: tries for run, tries in self.old.resumes.items() if run.guest == name}
        self.running_since |= {run: at for run, at in self.old.running_since.items() if run.guest == name}
        self.capped |= {run for run in self.old.capped if run.guest == name}
        if name in self.old.retries:
            self.retries[name] = self.old.retries[name]

    def passed(self, at: datetime | None) -> bool:
        """Has the wall clock reached this time? While it has not, somebody looks again then."""
        if at is None or self.seen.wall is None:
            return False
        rest = (at - self.seen.wall).total_seconds()
        if rest > 0:
            self.wakes.append(self.now + rest)
        return rest <= 0

    def note(self, row: Guest, state: GuestState, reason: str) -> None:
        """Its row says so, if it does not yet."""
        if row.state is not state or row.reason != reason:
            self.actions.append(act.Note(guest=row.name, generation=row.generation, state=state, reason=reason))

    def refresh(self, row: Guest, run: RunId, why: str) -> None:
        self.actions.append(act.Refresh(guest=row.name, generation=row.generation, run=run, why=why))

    def retire(self, row: Guest, why: str) -> None:
        self.actions.append(act.Retire(guest=row.name, generation=row.generation, why=why))

    def quarantine(self, run: RunId, code: str, sentence: str, fix: str) -> None:
        """It is left running, and reported."""
        finding = Finding(code=code, severity=Severity.WARNING, sentence=sentence, fix=fix, subject=str(run))
        self.actions.append(act.Quarantine(run=run, finding=finding))
        self.findings.append(finding)

    def report(self, code: str, sentence: str, fix: str, subject: str) -> None:
        self.findings.append(Finding(code=code, severity=Severity.WARNING, sentence=sentence, fix=fix, subject=subject))

    def done(self, more: tuple[act.Action, ...], findings: tuple[Finding, ...]) -> Plan:
        """The plan, after the brake has looked at what nobody freshly asked for."""
        living = len(self.seen.runs or ())
        braked = brake(tuple(self.unasked), self.unproven, living, self.old.braked_stops, self.now)
        rows = self.seen.guests or ()
        known = {row.name: row.generation for row in rows}
        memory = Memory(
            suspects=self.suspects,
            generations={**{n: g for n, g in self.old.generations.items() if n in known}, **known},
            asked=frozenset(self.asked & known.keys()),
            braked_stops=braked.memory,
            viewed=frozenset(self.viewed),
            left=self.left,
            stops=self.stops,
            resumes=self.resumes,
            running_since=self.running_since,
            retries=self.retries,
            capped=frozenset(self.capped),
        )
        wakes = [*self.wakes, *([braked.wake] if braked.wake is not None else [])]
        return Plan(
            actions=(*self.actions, *braked.released, *more),
            findings=(*self.findings, *braked.findings, *findings),
            memory=memory,
            wake=min(wakes, default=None),
        )


def stop_of(row: Guest, run: RunId, how: StopHow, *, own: bool, why: str) -> act.Stop:
    return act.Stop(guest=row.name, generation=row.generation, run=run, how=how, own=own, why=why)
