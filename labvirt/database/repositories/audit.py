# SPDX-License-Identifier: MIT
"""The audit: appended to in the order of the writers, read by pages, cut behind a stump."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select

from labvirt.database import tables
from labvirt.database.mapping.audit import entry_of, entry_row, stump_of
from labvirt.database.mapping.row import time_text
from labvirt.database.statements import Statement
from labvirt.database.store import Store
from labvirt.domain.audit import GENESIS, Entry, Stump, Wanted, cleaned, sealed

_audit = tables.audit
_NEWEST = Statement(text="SELECT number, seal FROM audit ORDER BY number DESC LIMIT 1", names=(), columns=("number", "seal"))


class AuditRepository:
    """A unit of work that writes holds the writer's lock from its start, so the entry that was last stays the last until it commits:
    the chain has no forks, whoever writes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, entry: Entry) -> Entry:
        number, seal = self._end()
        entry = replace(cleaned(entry), number=number + 1, seal="")
        entry = replace(entry, seal=sealed(seal, entry))
        self._store.add(_audit, entry_row(entry))
        return entry

    def last(self, count: int, subject: str | None = None) -> tuple[Entry, ...]:
        return self.find(Wanted(subject=subject), count)

    def find(self, wanted: Wanted, count: int, before: int | None = None) -> tuple[Entry, ...]:
        query = select(_audit).where(*_conditions(wanted)).order_by(_audit.c.number.desc()).limit(count)
        if before is not None:
            query = query.where(_audit.c.number < before)
        return self._entries(query)

    def after(self, number: int, count: int) -> tuple[Entry, ...]:
        return self._entries(select(_audit).where(_audit.c.number > number).order_by(_audit.c.number).limit(count))

    def get(self, number: int) -> Entry | None:
        found = self._entries(select(_audit).where(_audit.c.number == number))
        return found[0] if found else None

    def verbs(self) -> tuple[str, ...]:
        return tuple(str(row["verb"]) for row in self._store.rows(select(_audit.c.verb).distinct().order_by(_audit.c.verb)))

    def stump(self) -> Stump | None:
        query = select(tables.audit_stumps).order_by(tables.audit_stumps.c.up_to.desc()).limit(1)
        found = self._store.rows(query)
        return self._store.read(stump_of, found[0]) if found else None

    def old(self, older_than: datetime, keep: int) -> int:
        # Clocks jump; the order is that of the numbers: nothing is cut that stands behind something young.
        newest = self._store.scalar(select(func.max(_audit.c.number))) or 0
        young = self._store.scalar(select(func.min(_audit.c.number)).where(_audit.c.at >= time_text(older_than)))
        aged = (young or newest) - 1
        up_to = min(max(aged, newest - keep), newest - 1)
        return max(up_to, 0) if up_to > (stump.up_to if (stump := self.stump()) else 0) else 0

    def cut(self, up_to: int, at: datetime) -> None:
        seal = self._store.scalar(select(_audit.c.seal).where(_audit.c.number == up_to))
        self._store.change(insert(tables.audit_stumps).values(up_to=up_to, seal=seal, at=time_text(at)))

    def sweep(self, count: int) -> int:
        stump = self.stump()
        first = self._store.scalar(select(func.min(_audit.c.number)))
        if stump is None or first is None or first > stump.up_to:
            return 0
        return self._store.change(delete(_audit).where(_audit.c.number <= min(stump.up_to, first + count - 1)))

    def _end(self) -> tuple[int, str]:
        """Number and seal of the newest entry."""
        found = self._store.run(_NEWEST)
        if found:
            return found[0]["number"], found[0]["seal"]
        stump = self.stump()
        return (stump.up_to, stump.seal) if stump else (0, GENESIS)

    def _entries(self, query: Any) -> tuple[Entry, ...]:
        return tuple(self._store.read(entry_of, row) for row in self._store.rows(query))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    equal = {"who": wanted.who, "subject": wanted.subject, "noun": wanted.noun, "lab": wanted.lab, "verb": wanted.verb}
    equal["outcome"] = str(wanted.outcome) if wanted.outcome else None
    found = [_audit.c[name] == value for name, value in equal.items() if value is not None]
    if wanted.since is not None:
        found.append(_audit.c.at >= time_text(wanted.since))
    if wanted.until is not None:
        found.append(_audit.c.at < time_text(wanted.until))
    if wanted.labs is not None:
        found.append(_audit.c.lab.in_(sorted(wanted.labs)))
    return found
