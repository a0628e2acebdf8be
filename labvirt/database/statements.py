# SPDX-License-Identifier: MIT
"""The statements of every day as SQL text: SQLAlchemy writes each once per process, sqlite3 runs it as it is.

A terminal's question reads eight rows; built and run by SQLAlchemy that cost 3 ms, of which SQLite took a tenth.
What is rare (lists with conditions of their own, removals) stays with SQLAlchemy: store.py takes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql import ClauseElement

_DIALECT = sqlite.dialect(paramstyle="qmark")
_OLD = "old_"
"""Before the names of parameters that say which row is meant: the same column may be among the new values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`names` are those of its parameters, `columns` those of the rows it gives, each in their order."""

    text: str
    names: tuple[str, ...]
    columns: tuple[str, ...] = ()

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The parameters as sqlite3 takes them: the tables hold text and numbers only, which need no conversion."""
        return [given[name] for name in self.names]


@cache
def reading(table: Table, columns: tuple[str, ...]) -> Statement:
    """The rows whose `columns` are equal to the parameters of the same names, by primary key."""
    query = select(table).where(*(table.c[name] == bindparam(name) for name in columns)).order_by(*table.primary_key.columns)
    return _written(query, columns=tuple(table.c.keys()))


@cache
def adding(table: Table, columns: tuple[str, ...]) -> Statement:
    """A row with these columns."""
    return _written(insert(table), column_keys=list(columns))


@cache
def putting(table: Table, columns: tuple[str, ...]) -> Statement:
    """A row with these columns, in the place of one with the same primary key."""
    new = upsert(table)
    there = {name: new.excluded[name] for name in columns}
    return _written(new.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=there), column_keys=list(columns))


@cache
def changing(table: Table, columns: tuple[str, ...], not_newer: tuple[str, ...] = ()) -> Statement:
    """These columns of the row with the old primary key, if what it has in the columns `not_newer` is at most the old value."""
    meant: list[ColumnElement[bool]] = [key == bindparam(_OLD + key.name) for key in table.primary_key.columns]
    meant += [table.c[name] <= bindparam(_OLD + name) for name in not_newer]
    return _written(update(table).where(and_(*meant)), column_keys=list(columns))


def with_old(table: Table, row: Mapping[str, Any], not_newer: tuple[str, ...] = ()) -> dict[str, Any]:
    """The parameters of `changing` for this row, whose key and limits are its own."""
    return {**row, **{_OLD + name: row[name] for name in (*table.primary_key.columns.keys(), *not_newer)}}


def _written(clause: ClauseElement, *, columns: tuple[str, ...] = (), **how: Any) -> Statement:
    compiled = clause.compile(dialect=_DIALECT, **how)
    names = tuple(getattr(compiled, "positiontup", None) or ())
    return Statement(text=str(compiled), names=names, columns=columns)
