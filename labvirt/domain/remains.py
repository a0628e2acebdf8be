# SPDX-License-Identifier: MIT
"""What is left of runs that are over (folders, TAPs), and when it may be cleared away: only when the row proves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labvirt.domain import actions as act
from labvirt.domain.addresses import LAST_SEAT, SEATS_PER_BLOCK, InterfaceName
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, GuestState, Purpose, RunId, Wish
from labvirt.domain.observed import Observation, ObservedPorts, ObservedRun

_OFF = (GuestState.STOPPED, GuestState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    actions: tuple[act.Action, ...]
    findings: tuple[Finding, ...]


def remains(seen: Observation, rows: Mapping[str, Guest], living: Mapping[str, Sequence[ObservedRun]]) -> Remains:
    """Folders and TAPs that may go, and those nobody can account for. Called only when rows and runs are known."""
    actions: list[act.Action] = []
    findings: list[Finding] = []
    _folders(seen, rows, living, actions, findings)
    if seen.ports is not None:
        _ports(seen, seen.ports, rows, living, actions, findings)
    return Remains(actions=tuple(actions), findings=tuple(findings))


def _folders(
    seen: Observation,
    rows: Mapping[str, Guest],
    living: Mapping[str, Sequence[ObservedRun]],
    actions: list[act.Action],
    findings: list[Finding],
) -> None:
    alive = {observed.run for runs in living.values() for observed in runs}
    for run in sorted(seen.folders or ()):
        if run in alive or run in seen.spares or run.guest in seen.busy:
            continue
        row = rows.get(run.guest)
        if row is None:
            findings.append(
                Finding(
                    code="folder-without-row",
                    severity=Severity.WARNING,
                    sentence=f"The folder of {run} exists, nothing runs from it, and the database knows no guest {run.guest}.",
                    fix=f"labvirt guest start {run.guest} uses the seat again and clears it away",
                    subject=str(run),
                )
            )
            continue
        older = row.run is not None and run != row.run and run.generation < row.generation
        over = run == row.run and row.wish is Wish.STOPPED and row.state is GuestState.STOPPED
        keep = seen.keeps and keeps(row)
        given_up = keep and run == row.run and row.state is GuestState.FAILED
        if (older or over or given_up) and keep:
            actions.append(act.KeepRun(guest=row.name, generation=row.generation, run=run, why=ended_how(row, run)))
        elif older or over:
            actions.append(act.RemoveRun(guest=row.name, generation=row.generation, run=run))
        elif run != row.run:
            findings.append(
                Finding(
                    code="folder-unclear",
                    severity=Severity.WARNING,
                    sentence=f"The folder of {run} exists, and the row of {row.name} does not show that this run is over.",
                    fix=f"labvirt guest fresh {row.name}",
                    subject=str(run),
                )
            )


def keeps(row: Guest) -> bool:
    """May somebody want back what this guest has written? A draft lives by itself, and what a canary wrote is nobody's."""
    return row.purpose in (Purpose.SEAT, Purpose.RESCUE)


def ended_how(row: Guest, run: RunId) -> str:
    """How this run of the guest came to its end, as far as the row tells (domain.kept.Kept.why)."""
    if row.wish is Wish.STOPPED:
        return "stopped"
    return "fresh" if row.generation > run.generation else "crashed"


def _ports(
    seen: Observation,
    ports: ObservedPorts,
    rows: Mapping[str, Guest],
    living: Mapping[str, Sequence[ObservedRun]],
    actions: list[act.Action],
    findings: list[Finding],
) -> None:
    owners: dict[InterfaceName, str] = {}
    for name in rows.keys() | living.keys():
        tap = _tap(seen, rows.get(name))
        if tap is not None:
            owners[tap] = name
    for name in sorted(living.keys() & rows.keys()):
        row, tap = rows[name], _tap(seen, rows[name])
        if tap is None or name in seen.busy:
            continue
        if tap not in ports.taps:
            findings.append(
                Finding(
                    code="port-missing",
                    severity=Severity.ERROR,
                    sentence=f"{name} runs and its TAP {tap} is gone: it has no network until it is started afresh.",
                    fix=f"labvirt guest fresh {name}",
                    subject=name,
                )
            )
        elif tap not in ports.filtered:
            actions.append(act.Replug(guest=name, generation=row.generation, tap=tap))
    for tap in sorted(ports.taps):
        name_of = owners.get(tap)
        if name_of is None:
            if not _may_belong(seen, tap, living):
                nobody = living.keys() <= rows.keys()  # a guest without a row may well be the owner
                findings.append(
                    Finding(
                        code="tap-without-guest",
                        severity=Severity.WARNING,
                        sentence=f"The TAP {tap} exists and belongs to no guest of the database.",
                        fix=f"ip link delete {tap}" if nobody else "",
                        subject=str(tap),
                    )
                )
            continue
        row = rows[name_of]
        if name_of not in living and name_of not in seen.busy and row.state in _OFF:
            actions.append(act.Unplug(guest=name_of, generation=row.generation, tap=tap))


def _tap(seen: Observation, row: Guest | None) -> InterfaceName | None:
    lab = seen.labs.get(row.lab) if row is not None else None
    return lab.plan.tap(row.seat) if lab is not None and row is not None else None


def _may_belong(seen: Observation, tap: InterfaceName, living: Mapping[str, Sequence[ObservedRun]]) -> bool:
    """Does it serve a living run that has no row? Its name says lab and seat, if the lab is known."""
    for name in living.keys() | seen.busy:
        prefix, _, number = name.rpartition("-")
        special = number.startswith("s")
        digits = number[1:] if special else number
        seat = int(digits) + (LAST_SEAT if special else 0) if digits.isdigit() else SEATS_PER_BLOCK
        if seat < SEATS_PER_BLOCK and any(lab.name == prefix and lab.plan.tap(seat) == tap for lab in seen.labs.values()):
            return True
    return False
