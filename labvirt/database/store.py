# SPDX-License-Identifier: MIT
"""One connection inside one transaction, as the repositories see it: statements in, rows out, errors in our words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    ForeignKeyConstraint,
    PoolProxiedConnection,
    Table,
    and_,
    exc,
    func,
    select,
    true,
)
from sqlalchemy.sql import Executable

from labvirt.database import statements, tables
from labvirt.database.mapping.row import Row
from labvirt.database.statements import Statement
from labvirt.database.tables import NOUNS, metadata
from labvirt.database.trouble import explained, lasting, translated
from labvirt.errors import AlreadyExists, Conflict, InUse, InvalidInput, LabVirtError, NotFound

T = TypeVar("T")

_WORDS = {
    ("lab", "seat"): "{noun} at the seat",
    ("mac",): "{noun} with the MAC address",
    ("inventory_id",): "{noun} with the inventory id",
    ("block",): "{noun} with the block",
    ("network",): "{noun} with the network",
    ("file",): "{noun} with the file",
    ("code",): "{noun} with the code",
    ("run",): "{noun} with the run",
    ("image",): "open {noun} of the image",
    ("terminal",): "open {noun} of the terminal",
    ("person", "name"): "{noun} of the person",
}

_AMONG: dict[tuple[str, tuple[str, ...]], ColumnElement[bool]] = {
    ("drafts", ("image",)): tables.drafts.c.state == "open",
    ("power_orders", ("terminal",)): tables.power_orders.c.state.in_(("waiting", "given")),
}
"""Unique only among these rows (a partial index)."""

SETTLED = frozenset(
    {
        *(tables.labs, tables.lab_dhcp, tables.classes, tables.images, tables.drafts, tables.settings),
        *(tables.profiles, tables.profile_slots, tables.profile_labs, tables.profile_positions),
        *(tables.groups, tables.members, tables.grants),
    }
)
"""What every question of a terminal, or every request of a browser, reads and people seldom change."""
USERS_NAMED = 5

SETTLED_KEPT = 1000
"""Answers for each connection."""


class Store:
    """What a repository needs of a transaction."""

    def __init__(self, engine: Engine, connection: PoolProxiedConnection, path: Path) -> None:
        """Closing the connection is the caller's."""
        self._engine = engine
        self._connection = connection
        self._raw: sqlite3.Connection | None = connection.driver_connection
        self._path = path
        self._settled: dict[object, tuple[Row, ...]] | None = None

    def begin(self) -> None:
        """What is read from here on is of one moment. Rows of SETTLED that this connection read before are not read again
        while nobody has committed anything: PRAGMA data_version grows with every commit of any other connection,
        total_changes with every change of this one (sqlite.org/pragma.html).
        """
        with translated(self._path):
            raw = self._open()
            raw.execute("BEGIN")
            moment = (raw.execute("PRAGMA data_version").fetchone()[0], raw.total_changes)
        info = self._connection.info
        if info.get("moment") != moment:
            info.update(moment=moment, settled={})
        self._settled = info["settled"]

    def close(self) -> None:
        """Nothing more goes through here: the transaction may be somebody else's from now on."""
        self._raw = None

    @property
    def closed(self) -> bool:
        return self._raw is None

    def find(self, table: Table, **equal: Any) -> tuple[Row, ...]:
        """The rows with these values in these columns, by primary key: what is asked often."""
        kept = self._settled if table in SETTLED else None
        key = (table, *equal.items())
        if kept is not None and key in kept:
            return kept[key]
        statement = statements.reading(table, tuple(equal))
        with translated(self._path):
            found = self._run(statement, equal).fetchall()
        rows = tuple(dict(zip(statement.columns, row, strict=True)) for row in found)
        if kept is not None and len(kept) < SETTLED_KEPT:
            kept[key] = rows
        return rows

    def run(self, statement: Statement) -> tuple[Row, ...]:
        """The rows of a statement of every day that has no parameters."""
        with translated(self._path):
            return tuple(dict(zip(statement.columns, row, strict=True)) for row in self._run(statement, {}).fetchall())

    def rows(self, statement: Executable) -> tuple[Row, ...]:
        with translated(self._path):
            return tuple(dict(row._mapping) for row in self._slowly().execute(statement))

    def scalar(self, statement: Executable) -> Any:
        with translated(self._path):
            return self._slowly().execute(statement).scalar()

    def change(self, statement: Executable, values: list[Mapping[str, Any]] | None = None) -> int:
        """Run a statement that writes; how many rows it met. Not for what a constraint may refuse: `write`, `remove`."""
        if values is not None and not values:
            return 0
        with translated(self._path):
            return self._slowly().execute(statement, values).rowcount

    def write(self, table: Table, statement: Statement, row: Row) -> int:
        """Run a statement that puts `row` into `table`; how many rows it met. Raises AlreadyExists or NotFound that
        name what collides or is missing.
        """
        try:
            return self._run(statement, row).rowcount
        except sqlite3.IntegrityError as error:
            raise self._refused(table, row, error, new=statement.text.startswith("INSERT")) from error
        except sqlite3.Error as error:
            raise explained(self._path, error) from error

    def add(self, table: Table, row: Row) -> int:
        """Append `row` to a table that numbers its rows; its number."""
        with translated(self._path):
            number = self._run(statements.adding(table, tuple(row)), row).lastrowid
        assert number is not None
        return number

    def users(self, table: Table, row: Row) -> tuple[str, ...]:
        """Who refers to this row and would be left without it: 'the terminal pc-01', each once, sorted."""
        found: set[str] = set()
        for other in metadata.tables.values():
            for constraint in other.foreign_key_constraints:
                if constraint.referred_table is not table or constraint.ondelete in ("CASCADE", "SET NULL"):
                    continue
                keys = tuple(other.primary_key.columns)
                shown = keys if other is tables.versions else keys[:1]
                meant = and_(*(element.parent == row[element.column.name] for element in constraint.elements))
                for user in self.rows(select(*shown).where(meant)):
                    found.add(f"the {NOUNS.get(other.name, other.name)} {' v'.join(str(each) for each in user.values())}")
        return tuple(sorted(found))

    def remove(self, table: Table, row: Row, name: str) -> None:
        """The row is gone. Raises InUse naming who refers to it."""
        users = self.users(table, row)
        if users:
            rest = len(users) - USERS_NAMED
            raise InUse(NOUNS[table.name], name, _listed((*users[:USERS_NAMED], *((f"{rest} more",) if rest > 0 else ()))))
        keys = and_(*(column == row[column.name] for column in table.primary_key.columns))
        try:
            self._slowly().execute(table.delete().where(keys))
        except exc.IntegrityError as error:
            raise InUse(NOUNS[table.name], name, "something else") from error
        except exc.SQLAlchemyError as error:
            raise explained(self._path, error) from error

    def read(self, make: Callable[..., T], *parts: Any) -> T:
        """A domain value out of rows. A row that no version of LabVirt would have written is said, not guessed at."""
        try:
            return make(*parts)
        except (ValueError, KeyError, TypeError, InvalidInput) as error:
            row = parts[0]
            name = row.get("name") or row.get("terminal") or row.get("id") or row.get("image") or "?"
            raise lasting(
                f"The database holds something that cannot be, at {name!r}: {error}.",
                hint=f"Restore a backup of {self._path}, or remove that entry with sqlite3.",
            ) from error

    def count(self, table: Table) -> int:
        return int(self.scalar(select(func.count()).select_from(table)))

    def _run(self, statement: Statement, given: Row) -> sqlite3.Cursor:
        return self._open().execute(statement.text, statement.values(given))

    def _slowly(self) -> Connection:
        self._open()
        return Connection(self._engine, self._connection)

    def _open(self) -> sqlite3.Connection:
        if self._raw is None:
            raise TypeError("this unit of work is over")
        return self._raw

    def _refused(self, table: Table, row: Row, error: sqlite3.IntegrityError, *, new: bool) -> LabVirtError:
        text = str(error)
        noun = NOUNS.get(table.name, table.name)
        keys = tuple(table.primary_key.columns)
        if new and self.scalar(select(keys[0]).where(and_(*(key == row.get(key.name) for key in keys)))) is not None:
            # Its name is taken: that is what people understand, whatever else collides too.
            return AlreadyExists(noun, " ".join(str(row[key.name]) for key in keys))
        if text.startswith("UNIQUE"):
            columns = tuple(re.findall(rf"\b{table.name}\.(\w+)", text))
            shown = " ".join(str(row[column]) for column in columns)
            words = _WORDS.get(columns)
            if words is None:
                return AlreadyExists(noun, shown)
            name = next(iter(table.primary_key.columns))
            among = _AMONG.get((table.name, columns), true())
            holder = self.scalar(select(name).where(among, *(table.c[column] == row[column] for column in columns)))
            return AlreadyExists(words.format(noun=noun), shown, hint=f"It is {holder}: choose another one, or change {holder}.")
        if text.startswith("FOREIGN KEY"):
            for constraint in table.foreign_key_constraints:
                missing = self._missing(constraint, row)
                if missing is not None:
                    return missing
        return Conflict(f"The {noun} cannot be kept like this: {text}.", hint="Run: labvirt doctor")

    def _missing(self, constraint: ForeignKeyConstraint, row: Row) -> NotFound | None:
        values = [row.get(element.parent.name) for element in constraint.elements]
        if None in values:
            return None
        parent = constraint.referred_table
        query = select(func.count()).where(
            and_(*(element.column == value for element, value in zip(constraint.elements, values, strict=True)))
        )
        if self.scalar(query):
            return None
        return NotFound(NOUNS.get(parent.name, parent.name), ":".join(str(value) for value in values))


def _listed(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
