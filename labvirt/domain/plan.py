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
from labvirt.domain import living
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Due, Guest, GuestState, RunId, Wish
from labvirt.domain.observed import Memory, Observation, ObservedRun
from labvirt.domain.remains import remains
from labvirt.domain.round import Plan, Round, pause_seconds

__all__ = ["Limits", "Plan", "pause_seconds", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`attempts`: starts that may fail in a row."""

    attempts: int = 4


def plan(seen: Observation, memory: Memory, limits: Limits = Limits()) -> Plan:
    """What to do now. The same observation with the returned memory plans nothing that was done already."""
    if seen.guests is None or seen.runs is None:
        return Plan(actions=(), findings=(), memory=memory)
    round_ = Round(seen, memory)
    rows = {guest.name: guest for guest in seen.guests}
    runs: dict[str, list[ObservedRun]] = defaultdict(list)
    for observed in seen.runs:
        runs[observed.run.guest].append(observed)
    for name in sorted(rows.keys() | runs.keys()):
        if name in seen.busy:
            round_.keep(name)
        elif name in rows:
            _guest(round_, rows[name], runs.get(name, []), limits)
        else:
            for observed in runs[name]:
                round_.quarantine(observed.run, *_without_row(observed.run))
    if not rows and runs:
        round_.findings.append(
            Finding(
                code="database-empty",
                severity=Severity.ERROR,
                sentence=f"The database knows no guest and {len(seen.runs)} are running. They are left alone.",
                fix="Put the right labvirt.db in place (stop labvirt serve first), then: labvirt verify",
            )
        )
    left = remains(seen, rows, runs)
    return round_.done(left.actions, left.findings)


def _guest(round_: Round, row: Guest, runs: list[ObservedRun], limits: Limits) -> None:
    _notice_wish(round_, row)
    own = next((observed for observed in runs if observed.run == row.run), None)
    others = [observed for observed in runs if observed is not own]
    if own is not None:
        living.own(round_, row, own)
    adopted = own is not None
    for other in sorted(others, key=lambda o: o.run, reverse=True):
        adopted = living.other(round_, row, other, may_adopt=not adopted) or adopted
    if not runs:
        _nothing_lives(round_, row, limits)


def _notice_wish(round_: Round, row: Guest) -> None:
    """A newer generation without a run of its own is a fresh explicit wish; the engine's own starts have theirs."""
    known = round_.old.generations.get(row.name)
    if row.run is not None and row.run.generation == row.generation:
        round_.asked.discard(row.name)
    elif known is not None and row.generation > known:
        round_.asked.add(row.name)


def _nothing_lives(round_: Round, row: Guest, limits: Limits) -> None:
    name, generation = row.name, row.generation
    if row.wish is Wish.STOPPED:
        if row.state is not GuestState.STOPPED:
            round_.actions.append(act.MarkStopped(guest=name, generation=generation))
    elif row.due is Due.STOP and round_.passed(row.due_at):
        round_.retire(row, "the time that was told has come: it is not started again")
    elif row.alive or row.state is GuestState.STOPPING:
        _gone(round_, row, limits)
    elif row.state is GuestState.STARTING:
        round_.note(row, GuestState.WANTED, "its start was interrupted")
    elif row.state is GuestState.STOPPED:
        round_.note(row, GuestState.WANTED, "")
    elif row.state is GuestState.WANTED:
        _wanted(round_, row, limits)


def _gone(round_: Round, row: Guest, limits: Limits) -> None:
    name, generation = row.name, row.generation
    if row.run is not None and row.run.generation == generation and row.run in round_.seen.shut_down:
        reason = "it was shut down from inside"
        round_.actions.append(act.MarkStopped(guest=name, generation=generation, reason=reason, from_inside=True))
        return
    failures = row.failures + 1
    if failures >= limits.attempts:
        reason = f"its machine ended by itself {failures} times in a row"
        round_.actions.append(act.MarkFailed(guest=name, generation=generation, reason=reason))
    else:
        round_.actions.append(act.Retry(guest=name, generation=generation, reason="its machine ended by itself"))


def _wanted(round_: Round, row: Guest, limits: Limits) -> None:
    if 0 < row.failures < limits.attempts:  # beyond that somebody has asked again, and waited before he did
        known = round_.old.retries.get(row.name)
        if known is None or known[0] != row.failures:
            known = (row.failures, round_.now + pause_seconds(row.failures))
        round_.retries[row.name] = known
        if round_.now < known[1]:
            round_.wakes.append(known[1])
            return
    round_.actions.append(act.Start(guest=row.name, generation=row.generation))


def _without_row(run: RunId) -> tuple[str, str, str]:
    return (
        "run-without-row",
        f"{run} runs and the database knows no guest {run.guest}. It is left running.",
        f"labvirt guest start {run.guest}",
    )
