# SPDX-License-Identifier: MIT
"""The audit: read by pages and as files, proven, cut for its age; and refusals, which no use case could note itself.

Whoever may read the audit of the whole site sees everything; who may in some labs sees what belongs to those.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from labvirt.domain.audit import Broken, Chain, Entry, Outcome, Stump, Wanted
from labvirt.domain.right import Right
from labvirt.errors import LabVirtError, NotAllowed
from labvirt.usecases.ports import Ports

log = logging.getLogger(__name__)

PAGE = 50
MOST = 10_000
"""Most entries of one page."""
TOGETHER = 1000
"""Entries that are read at a time when all are: no long read keeps the log of the database from being begun anew."""
KEPT = 500_000
"""Most entries that are kept, some 200 MB: the oldest go, whatever their age."""

COLUMNS = (
    "number",
    "at",
    "who",
    "kind",
    "address",
    "verb",
    "noun",
    "subject",
    "lab",
    "what",
    "before",
    "after",
    "outcome",
    "times",
    "seal",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`older`: the cursor of the next page; None: these were the last."""

    entries: tuple[Entry, ...]
    older: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What `verify` found. `seal` and `last` are the end of the chain: noted elsewhere, they prove later that nothing was taken from it."""

    entries: int
    last: int
    seal: str
    stump: Stump | None
    broken: Broken | None


def page(ports: Ports, wanted: Wanted, *, before: int | None = None, count: int = PAGE) -> Page:
    """The newest entries first, those with a number below `before`. Raises NotAllowed."""
    wanted = _seen(ports, wanted)
    flush(ports)
    with ports.database.read() as work:
        found = work.audit.find(wanted, min(count, MOST) + 1, before)
    shown = found[:count]
    return Page(entries=shown, older=shown[-1].number if len(found) > count else None)


def verbs(ports: Ports) -> tuple[str, ...]:
    """Every verb that occurs, for a list to choose from. Raises NotAllowed."""
    _seen(ports, Wanted())
    with ports.database.read() as work:
        return work.audit.verbs()


def everything(ports: Ports, wanted: Wanted) -> Iterator[Entry]:
    """All entries that are wanted, the newest first, read piece by piece; entries that come meanwhile are not among them. Raises
    NotAllowed, at once."""
    wanted = _seen(ports, wanted)

    def pieces() -> Iterator[Entry]:
        before: int | None = None
        while True:
            with ports.database.read() as work:
                found = work.audit.find(wanted, TOGETHER, before)
            yield from found
            if len(found) < TOGETHER:
                return
            before = found[-1].number

    return pieces()


def as_csv(entries: Iterator[Entry]) -> Iterator[str]:
    """Lines of a CSV file (RFC 4180) with a head. A cell that a spreadsheet could take for a formula begins with an apostrophe (OWASP: CSV
    injection)."""
    yield _row(COLUMNS)
    for entry in entries:
        told = shape(entry)
        cells = (told[name] for name in COLUMNS)
        yield _row(_cell(json.dumps(each, sort_keys=True) if isinstance(each, dict) else each) for each in cells)


def as_json_lines(entries: Iterator[Entry]) -> Iterator[str]:
    """One JSON document a line, in ASCII."""
    for entry in entries:
        yield json.dumps(shape(entry), ensure_ascii=True) + "\n"


def shape(entry: Entry) -> dict[str, Any]:
    """The entry as JSON takes it."""
    told: dict[str, Any] = {name: getattr(entry, name) for name in COLUMNS}
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return told | {
        "at": at,
        "kind": str(entry.kind),
        "outcome": str(entry.outcome),
        "before": dict(entry.before),
        "after": dict(entry.after),
    }


def verify(ports: Ports, anchor: tuple[int, str] | None = None) -> Proof:
    """Every entry is read and its seal made again; `broken` names the first that is not right. `anchor`: number and seal that somebody
    noted elsewhere; without it, whoever can write the database may have made the whole chain anew, or taken its end. Raises NotAllowed."""
    _seen(ports, Wanted())
    if not ports.caller.may(Right.AUDIT, None):
        raise NotAllowed("The chain can only be proven as a whole.", hint="Ask somebody who may read the audit of the whole site.")
    with ports.database.read() as work:
        stump = work.audit.stump()
    chain, entries, broken = Chain(stump), 0, None
    while broken is None:
        with ports.database.read() as work:
            found = work.audit.after(chain.number, TOGETHER)
        for entry in found:
            broken = chain.step(entry)
            if broken is not None:
                break
            entries += 1
            if anchor is not None and anchor[0] == entry.number and anchor[1] != entry.seal:
                broken = Broken(number=entry.number, why="its seal is not the one that was noted elsewhere: the chain was made anew")
                break
        if not found:
            break
    if broken is None and anchor is not None and anchor[0] > chain.number:
        broken = Broken(number=chain.number + 1, why=f"it is missing: entry {anchor[0]} was noted elsewhere, and the chain ends before it")
    return Proof(entries=entries, last=chain.number, seal=chain.seal, stump=stump, broken=broken)


def cut(ports: Ports, days: float) -> int:
    """Entries older than `days`, and those beyond the newest `KEPT`, are gone, behind a stump that keeps the chain whole; how many were.
    `days` 0: none for their age. The cut is an entry itself. Raises DatabaseError."""
    now = ports.clock.now()
    with ports.database.write() as work:
        up_to = work.audit.old(now - timedelta(days=days) if days else datetime.min.replace(tzinfo=UTC) + timedelta(days=1), KEPT)
        if up_to:
            work.audit.cut(up_to, now)
            ports.note(work, "audit", f"entries up to number {up_to} were cut off for their age", verb="cut", noun="audit")
            work.commit()
    gone = 0
    while True:  # bit by bit: other writers wait for each
        with ports.database.write() as work:
            swept = work.audit.sweep(TOGETHER)
            work.commit()
        gone += swept
        if not swept:
            return gone


def refused(ports: Ports, what: str, right: Right, labs: Collection[str]) -> None:
    """The caller asked for `what` (a noun's use case: 'labs.remove lab-a') and lacks `right` in one of `labs`. It is written, in a
    transaction of its own; a source that is refused again and again is counted after five a minute, and told as one entry."""
    denied(ports, "refuse", what, f"was refused to the caller, who lacks the right {right}", labs=labs)


def denied(ports: Ports, verb: str, subject: str, what: str, *, noun: str = "", labs: Collection[str] = ()) -> None:
    """A refusal is written, if its source is not too loud. Never raises: who is refused is refused, also when the disk is full."""
    named = sorted(labs)
    caller = ports.caller
    entry = Entry(
        at=ports.clock.now(),
        who=caller.name,
        kind=caller.kind,
        address=caller.address,
        verb=verb,
        noun=noun,
        subject=subject,
        what=what if len(named) < 2 else f"{what} (labs {', '.join(named)})",
        lab=named[0] if named else None,
        outcome=Outcome.REFUSED,
    )
    _write(ports, ports.floods.meet(entry, ports.clock.monotonic()))


def flush(ports: Ports) -> None:
    """What this process only counted of floods of refusals that are over is written."""
    _write(ports, ports.floods.flush(ports.clock.monotonic()))


def _write(ports: Ports, entries: tuple[Entry, ...]) -> None:
    if not entries:
        return
    try:
        with ports.database.write() as work:
            for entry in entries:
                work.audit.add(entry)
            work.commit()
    except LabVirtError as error:
        log.error("a refusal could not be written down (%s): %s", error, "; ".join(f"{each.who}: {each.subject}" for each in entries))


def _seen(ports: Ports, wanted: Wanted) -> Wanted:
    """Only what the caller may read. Raises NotAllowed."""
    caller = ports.caller
    if caller.may(Right.AUDIT, None):
        return wanted
    with ports.database.read() as work:
        labs = frozenset(lab.name for lab in work.labs.list() if caller.may(Right.AUDIT, lab.name))
    if not labs:
        refused(ports, "the audit", Right.AUDIT, ())
        raise NotAllowed("You may not read the audit.", hint="A manager of a lab, or an administrator, can.")
    return replace(wanted, labs=labs if wanted.labs is None else labs & wanted.labs)


def _row(cells: Collection[Any] | Iterator[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
