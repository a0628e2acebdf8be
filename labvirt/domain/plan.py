# SPDX-License-Identifier: MIT
"""The rules by which wish and reality are brought together: plan(observation, memory, limits) -> Plan. Pure.

1. What could not be known is not concluded from: no rows or no runs read, no action.
2. A living run is destroyed on positive evidence only: its row's wish has moved on from this very run, or the row has another run
   and a newer generation, and two observations at least CONFIRM_SECONDS apart say so. Everything else is adopted or quarantined.
3. More than a few such stops in a minute without a fresh explicit wish: none is done, and a finding says so (the brake).
4. While anything of a guest lives, nothing of it is started.
5. What is tried again is tried with growing pauses and a bounded number of times.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from labvirt.domain import actions as act
from labvirt.domain.brake import brake
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow, Wish
from labvirt.domain.lab import OnLeave
from labvirt.domain.observed import Memory, Observation, ObservedRun, RunState, Tries
from labvirt.domain.remains import remains

CONFIRM_SECONDS = 2.0
"""Between the two observations that prove a left-over."""

SETTLED_SECONDS = 60.0
"""A run that has been up so long forgets the failures before it."""

FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0

BUTTON_PRESSES = 3
"""So often an ACPI power button is pressed, BUTTON_SECONDS apart, before a person is told that the guest ignores it."""
BUTTON_SECONDS = 30.0

RESUMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`attempts`: starts that may fail in a row."""

    attempts: int = 4


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


def plan(seen: Observation, memory: Memory, limits: Limits = Limits()) -> Plan:
    """What to do now. The same observation with the returned memory plans nothing that was done already."""
    if seen.guests is None or seen.runs is None:
        return Plan(actions=(), findings=(), memory=memory)
    round_ = _Round(seen, memory, limits)
    rows = {guest.name: guest for guest in seen.guests}
    living: dict[str, list[ObservedRun]] = defaultdict(list)
    for observed in seen.runs:
        living[observed.run.guest].append(observed)
    for name in sorted(rows.keys() | living.keys()):
        if name in seen.busy:
            round_.keep(name)
        elif name in rows:
            round_.guest(rows[name], living.get(name, []))
        else:
            for observed in living[name]:
                round_.quarantine(observed.run, *_without_row(observed.run))
    if not rows and living:
        round_.findings.append(
            Finding(
                code="database-empty",
                severity=Severity.ERROR,
                sentence=f"The database knows no guest and {len(seen.runs)} are running. They are left alone.",
                fix="Put the right labvirt.db in place (stop labvirt serve first), then: labvirt verify",
            )
        )
    left = remains(seen, rows, living)
    return round_.done(left.actions, left.findings)


class _Round:
    """One pass; collects actions and the next memory."""

    def __init__(self, seen: Observation, memory: Memory, limits: Limits) -> None:
        self.seen = seen
        self.now = seen.now
        self.old = memory
        self.limits = limits
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
        self.asked = set(memory.asked)

    def keep(self, name: str) -> None:
        """A busy guest: nothing is concluded, nothing is forgotten but suspicion (that must be seen without a gap)."""
        self.viewed |= {run for run in self.old.viewed if run.guest == name}
        self.left |= {run: at for run, at in self.old.left.items() if run.guest == name}
        self.stops |= {run: tries for run, tries in self.old.stops.items() if run.guest == name}
        self.resumes |= {run: tries for run, tries in self.old.resumes.items() if run.guest == name}
        self.running_since |= {run: at for run, at in self.old.running_since.items() if run.guest == name}
        if name in self.old.retries:
            self.retries[name] = self.old.retries[name]

    def guest(self, row: Guest, living: list[ObservedRun]) -> None:
        self._notice_wish(row)
        own = next((observed for observed in living if observed.run == row.run), None)
        others = [observed for observed in living if observed is not own]
        if own is not None:
            self._own(row, own)
        adopted = own is not None
        for other in sorted(others, key=lambda o: o.run, reverse=True):
            adopted = self._other(row, other, may_adopt=not adopted) or adopted
        if not living:
            self._nothing_lives(row)

    def _notice_wish(self, row: Guest) -> None:
        """A newer generation without a run of its own is a fresh explicit wish; the engine's own starts have theirs."""
        known = self.old.generations.get(row.name)
        if row.run is not None and row.run.generation == row.generation:
            self.asked.discard(row.name)
        elif known is not None and row.generation > known:
            self.asked.add(row.name)

    # --- the row's own run lives

    def _own(self, row: Guest, own: ObservedRun) -> None:
        if row.generation > own.run.generation:
            self._over(row, own)
        elif row.wish is Wish.RUNNING:
            self._serving(row, own)
        else:
            self.quarantine(
                own.run,
                "run-unclear",
                f"{own.run} runs; its row wishes it stopped, and nothing shows that the wish is newer than the run.",
                f"labvirt guest fresh {row.name}",
            )

    def _over(self, row: Guest, own: ObservedRun) -> None:
        """The wish has moved on from this run: that is the explicit word of its own row."""
        how = row.stop_how if row.wish is Wish.STOPPED else StopHow.STOP
        if row.state in (GuestState.STOPPED, GuestState.FAILED) and row.name not in self.asked:
            stop = self._stop(row, own.run, how, own=True, why="it runs although it was believed to be over")
            self._suspect(row, own.run, stop, "run-believed-over", f"{own.run} runs although its row says {row.state}.")
            return
        tries = self.old.stops.get(own.run)
        if tries is None or tries.generation != row.generation:
            tries = Tries(generation=row.generation, count=0, at=self.now)
        if how is StopHow.SHUTDOWN:
            pause = BUTTON_SECONDS
            if tries.count >= BUTTON_PRESSES and self.now >= tries.at + pause:
                self._report(
                    "power-button-ignored",
                    f"{row.name} does not react to its power button, pressed {tries.count} times.",
                    f"labvirt guest stop {row.name} --how stop",
                    row.name,
                )
                self.stops[own.run] = tries
                return
        else:
            pause = pause_seconds(tries.count)
            if tries.count and row.wish is Wish.RUNNING:
                how = StopHow.KILL  # a fresh run was asked for, and the old one did not go politely
        if tries.count and self.now < tries.at + pause:
            self.stops[own.run] = tries
            self.wakes.append(tries.at + pause)
            return
        self.stops[own.run] = Tries(generation=row.generation, count=tries.count + 1, at=self.now)
        why = "it is to be stopped" if row.wish is Wish.STOPPED else "a fresh run was asked for"
        self.actions.append(self._stop(row, own.run, how, own=True, why=why))

    def _serving(self, row: Guest, own: ObservedRun) -> None:
        run = own.run
        if own.state is RunState.SILENT:
            self._note(row, GuestState.SILENT, own.reason or "its machine does not answer")
            return
        if own.state is RunState.PAUSED:
            self._note(row, GuestState.PAUSED, own.reason or "its machine was paused")
            self._resume(row, run)
            return
        if row.state in (GuestState.WANTED, GuestState.STARTING, GuestState.FAILED):
            if run not in self.seen.awaiting:
                self.actions.append(act.AwaitReady(guest=row.name, generation=row.generation, run=run))
            return
        since = self.running_since[run] = self.old.running_since.get(run, self.now)
        resumed = self.old.resumes.get(run)
        if resumed is not None and self.now < since + SETTLED_SECONDS:
            self.resumes[run] = resumed
        if row.failures:
            if self.now >= since + SETTLED_SECONDS:
                self.actions.append(act.Settle(guest=row.name, generation=row.generation))
            else:
                self.wakes.append(since + SETTLED_SECONDS)
        if self._left(row, own):
            return
        self._note(row, GuestState.CONNECTED if own.viewed else GuestState.RUNNING, "")

    def _left(self, row: Guest, own: ObservedRun) -> bool:
        """Is the viewer away for so long that the lab's policy acts?"""
        run = own.run
        lab = self.seen.labs.get(row.lab)
        if own.viewed:
            self.viewed.add(run)
            return False
        if run not in self.old.viewed and row.state is not GuestState.CONNECTED:
            return False
        self.viewed.add(run)
        left = self.left[run] = self.old.left.get(run, self.now)
        if lab is None or lab.on_leave is OnLeave.KEEP:
            return False
        due = left + lab.leave_grace_seconds
        if self.now < due:
            self.wakes.append(due)
            return False
        kind = act.Refresh if lab.on_leave is OnLeave.RESET else act.Retire
        self.actions.append(kind(guest=row.name, generation=row.generation, run=run))
        return True

    def _resume(self, row: Guest, run: RunId) -> None:
        tries = self.old.resumes.get(run, Tries(generation=row.generation, count=0, at=self.now))
        self.resumes[run] = tries
        if tries.count >= RESUMES:
            self._report(
                "resume-given-up",
                f"{row.name} is paused and pauses again whenever it is resumed.",
                f"labvirt guest fresh {row.name}",
                row.name,
            )
        elif self.seen.disk_room:
            due = tries.at + pause_seconds(tries.count)
            if self.now < due:
                self.wakes.append(due)
                return
            self.resumes[run] = Tries(generation=row.generation, count=tries.count + 1, at=self.now)
            self.actions.append(act.Resume(guest=row.name, generation=row.generation, run=run))

    # --- a run lives that the row does not call its own

    def _other(self, row: Guest, other: ObservedRun, *, may_adopt: bool) -> bool:
        """True when it was adopted."""
        run = other.run
        if run.generation >= row.generation:
            if row.wish is Wish.RUNNING and may_adopt:
                state = {RunState.PAUSED: GuestState.PAUSED, RunState.SILENT: GuestState.SILENT}.get(other.state, GuestState.RUNNING)
                self.actions.append(act.Adopt(guest=row.name, generation=row.generation, run=run, state=state, reason=other.reason))
                return True
            self.quarantine(
                run,
                "run-newer-than-row",
                f"{run} runs, and the database knows {row.name} only up to generation {row.generation}: it may be an older copy.",
                f"labvirt guest start {row.name}",
            )
        elif row.run is None:
            self.quarantine(
                run,
                "run-unknown",
                f"{run} runs, and the row of {row.name} does not know any run.",
                f"labvirt guest fresh {row.name}",
            )
        else:
            stop = self._stop(row, run, StopHow.STOP, own=False, why=f"the run of {row.name} is {row.run} now")
            self._suspect(row, run, stop, "run-left-over", f"{run} runs although {row.name} is served by {row.run} now.")
        return False

    def _suspect(self, row: Guest, run: RunId, stop: act.Stop, code: str, sentence: str) -> None:
        first = self.suspects[run] = self.old.suspects.get(run, self.now)
        if self.now - first < CONFIRM_SECONDS:
            self.wakes.append(first + CONFIRM_SECONDS)
            self.unproven += row.name not in self.asked
            self._report(code, sentence, f"labvirt guest fresh {row.name}", row.name)
        elif row.name in self.asked:
            self.actions.append(stop)
        else:
            self.unasked.append(stop)

    # --- nothing of the guest lives

    def _nothing_lives(self, row: Guest) -> None:
        name, generation = row.name, row.generation
        if row.wish is Wish.STOPPED:
            if row.state is not GuestState.STOPPED:
                self.actions.append(act.MarkStopped(guest=name, generation=generation))
        elif row.alive or row.state is GuestState.STOPPING:
            self._gone(row)
        elif row.state is GuestState.STARTING:
            self.actions.append(act.Note(guest=name, generation=generation, state=GuestState.WANTED, reason="its start was interrupted"))
        elif row.state is GuestState.STOPPED:
            self.actions.append(act.Note(guest=name, generation=generation, state=GuestState.WANTED, reason=""))
        elif row.state is GuestState.WANTED:
            self._wanted(row)

    def _gone(self, row: Guest) -> None:
        name, generation = row.name, row.generation
        if row.run is not None and row.run.generation == generation and row.run in self.seen.shut_down:
            self.actions.append(act.MarkStopped(guest=name, generation=generation, reason="it was shut down from inside", from_inside=True))
            return
        failures = row.failures + 1
        if failures >= self.limits.attempts:
            reason = f"its machine ended by itself {failures} times in a row"
            self.actions.append(act.MarkFailed(guest=name, generation=generation, reason=reason))
        else:
            self.actions.append(act.Retry(guest=name, generation=generation, reason="its machine ended by itself"))

    def _wanted(self, row: Guest) -> None:
        if 0 < row.failures < self.limits.attempts:  # beyond that somebody has asked again, and waited before he did
            known = self.old.retries.get(row.name)
            if known is None or known[0] != row.failures:
                known = (row.failures, self.now + pause_seconds(row.failures))
            self.retries[row.name] = known
            if self.now < known[1]:
                self.wakes.append(known[1])
                return
        self.actions.append(act.Start(guest=row.name, generation=row.generation))

    # --- words

    def _note(self, row: Guest, state: GuestState, reason: str) -> None:
        if row.state is not state or row.reason != reason:
            self.actions.append(act.Note(guest=row.name, generation=row.generation, state=state, reason=reason))

    @staticmethod
    def _stop(row: Guest, run: RunId, how: StopHow, *, own: bool, why: str) -> act.Stop:
        return act.Stop(guest=row.name, generation=row.generation, run=run, how=how, own=own, why=why)

    def quarantine(self, run: RunId, code: str, sentence: str, fix: str) -> None:
        finding = Finding(code=code, severity=Severity.WARNING, sentence=sentence, fix=fix, subject=str(run))
        self.actions.append(act.Quarantine(run=run, finding=finding))
        self.findings.append(finding)

    def _report(self, code: str, sentence: str, fix: str, subject: str) -> None:
        self.findings.append(Finding(code=code, severity=Severity.WARNING, sentence=sentence, fix=fix, subject=subject))

    def done(self, more: tuple[act.Action, ...], findings: tuple[Finding, ...]) -> Plan:
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
        )
        wakes = [*self.wakes, *([braked.wake] if braked.wake is not None else [])]
        return Plan(
            actions=(*self.actions, *braked.released, *more),
            findings=(*self.findings, *braked.findings, *findings),
            memory=memory,
            wake=min(wakes, default=None),
        )


def _without_row(run: RunId) -> tuple[str, str, str]:
    return (
        "run-without-row",
        f"{run} runs and the database knows no guest {run.guest}. It is left running.",
        f"labvirt guest start {run.guest}",
    )
