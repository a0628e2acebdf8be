# SPDX-License-Identifier: MIT
"""Sign-ins of browsers and tokens of programs, found by the hash of the secret."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, func, select

from labvirt.database import statements, tables
from labvirt.database.mapping.people import sign_in_of, sign_in_row, token_of, token_row
from labvirt.database.store import Store
from labvirt.domain.person import SHELL, ApiToken, SignIn
from labvirt.errors import NotFound

KEPT = 100
"""Sign-ins of one person."""

_in = tables.sign_ins.c


class SignInRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def by_token(self, hashed: str) -> SignIn | None:
        found = self._store.find(tables.sign_ins, token=hashed)
        return self._store.read(sign_in_of, found[0]) if found else None

    def get(self, id: str) -> SignIn | None:
        found = self._store.find(tables.sign_ins, id=id)
        return self._store.read(sign_in_of, found[0]) if found else None

    def of(self, person: str | None = None) -> tuple[SignIn, ...]:
        query = select(tables.sign_ins).order_by(_in.made_at.desc())
        rows = self._store.rows(query if person is None else query.where(_of(person)))
        return tuple(self._store.read(sign_in_of, row) for row in rows)

    def add(self, sign_in: SignIn, hashed: str) -> None:
        """Raises NotFound when there is no such person."""
        row = {**sign_in_row(sign_in), "token": hashed}
        self._store.write(tables.sign_ins, statements.adding(tables.sign_ins, tuple(row)), row)
        kept = select(_in.id).where(_of(sign_in.person)).order_by(_in.seen_at.desc()).limit(KEPT)
        if int(self._store.scalar(select(func.count()).select_from(tables.sign_ins).where(_of(sign_in.person)))) > KEPT:
            self._store.change(delete(tables.sign_ins).where(_of(sign_in.person), _in.id.not_in(kept)))

    def update(self, sign_in: SignIn) -> None:
        row = sign_in_row(sign_in)
        self._store.write(tables.sign_ins, statements.changing(tables.sign_ins, tuple(row)), statements.with_old(tables.sign_ins, row))

    def remove(self, id: str) -> None:
        self._store.change(delete(tables.sign_ins).where(_in.id == id))

    def remove_of(self, person: str, *, but: str = "") -> int:
        return self._store.change(delete(tables.sign_ins).where(_of(person), _in.id != but))


class TokenRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def by_token(self, hashed: str) -> ApiToken | None:
        found = self._store.find(tables.api_tokens, token=hashed)
        return self._store.read(token_of, found[0]) if found else None

    def get(self, id: str) -> ApiToken | None:
        found = self._store.find(tables.api_tokens, id=id)
        return self._store.read(token_of, found[0]) if found else None

    def of(self, person: str | None = None) -> tuple[ApiToken, ...]:
        each = tables.api_tokens.c
        query = select(tables.api_tokens).order_by(each.person, each.name)
        rows = self._store.rows(query if person is None else query.where(each.person == person))
        return tuple(self._store.read(token_of, row) for row in rows)

    def add(self, token: ApiToken, hashed: str) -> None:
        row = {**token_row(token), "token": hashed}
        self._store.write(tables.api_tokens, statements.adding(tables.api_tokens, tuple(row)), row)

    def update(self, token: ApiToken) -> None:
        """Absent is fine: it was taken back meanwhile."""
        row = token_row(token)
        self._store.write(
            tables.api_tokens, statements.changing(tables.api_tokens, tuple(row)), statements.with_old(tables.api_tokens, row)
        )

    def remove(self, id: str) -> None:
        if self._store.change(delete(tables.api_tokens).where(tables.api_tokens.c.id == id)) == 0:
            raise NotFound("token", id)


def _of(person: str) -> ColumnElement[bool]:
    return _in.person.is_(None) if person == SHELL else _in.person == person
