# SPDX-License-Identifier: MIT
"""People and groups: each with its grants, a person also with those of the groups."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import ColumnElement, delete

from labvirt.contracts.people import Secrets
from labvirt.database import statements, tables
from labvirt.database.mapping.people import grant_row, group_of, group_row, person_of, person_row, secrets_of, secrets_row
from labvirt.database.mapping.row import Row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.person import Group, Person
from labvirt.errors import NotFound

_NEW: Row = {"password": "", "password_at": None, "totp": "", "totp_new": "", "totp_step": 0, "recovery": "[]"}


class PersonRepository(NamedRepository[Person]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.people, person_row, person_of)

    def add(self, item: Person) -> None:
        row = {**person_row(item), **_NEW}
        self._store.write(tables.people, statements.adding(tables.people, tuple(row)), row)
        self._put_parts(item, new=True)

    def secrets(self, name: str) -> Secrets:
        """Empty ones when there is no such person."""
        found = self._store.find(tables.people, name=name)
        return self._store.read(secrets_of, found[0]) if found else Secrets(person=name)

    def put_secrets(self, secrets: Secrets) -> None:
        row = secrets_row(secrets)
        statement = statements.changing(tables.people, tuple(row))
        if self._store.write(tables.people, statement, statements.with_old(tables.people, row)) == 0:
            raise NotFound("person", secrets.person)

    def _values(self, rows: tuple[Row, ...]) -> tuple[Person, ...]:
        grants, members = self._store.find(tables.grants), self._store.find(tables.members)
        found = []
        for row in rows:
            own = [each for each in grants if each["person"] == row["name"]]
            groups = [each for each in members if each["person"] == row["name"]]
            where = {each["group_name"] for each in groups}
            given = [each for each in grants if each["group_name"] in where]
            found.append(self._store.read(person_of, row, own, groups, given))
        return tuple(found)

    def _put_parts(self, item: Person, *, new: bool) -> None:
        if not new:
            self._store.change(delete(tables.members).where(tables.members.c.person == item.name))
        for group in item.groups:
            row: Row = {"person": item.name, "group_name": group}
            self._store.write(tables.members, statements.adding(tables.members, tuple(row)), row)
        _put_grants(self._store, tables.grants.c.person == item.name, (grant_row(grant, person=item.name) for grant in item.own))


class GroupRepository(NamedRepository[Group]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.groups, group_row, group_of)

    def members(self, name: str) -> tuple[str, ...]:
        """By name."""
        return tuple(sorted(row["person"] for row in self._store.find(tables.members) if row["group_name"] == name))

    def _values(self, rows: tuple[Row, ...]) -> tuple[Group, ...]:
        grants = self._store.find(tables.grants)
        return tuple(self._store.read(group_of, row, [each for each in grants if each["group_name"] == row["name"]]) for row in rows)

    def _put_parts(self, item: Group, *, new: bool) -> None:
        _put_grants(self._store, tables.grants.c.group_name == item.name, (grant_row(grant, group=item.name) for grant in item.grants))


def _put_grants(store: Store, meant: ColumnElement[bool], rows: Iterable[Row]) -> None:
    store.change(delete(tables.grants).where(meant))
    for row in rows:
        store.write(tables.grants, statements.adding(tables.grants, tuple(row)), row)
