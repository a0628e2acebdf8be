# SPDX-License-Identifier: MIT
"""Warm pools, and the runs that wait for their seats."""

from __future__ import annotations

from sqlalchemy import delete

from labvirt.database import statements, tables
from labvirt.database.mapping.row import Row, time_of, time_text
from labvirt.database.store import Store
from labvirt.domain.guest import RunId
from labvirt.domain.pool import Pool, Spare, SpareKind


class PoolRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, lab: str, profile: str) -> Pool | None:
        found = self._store.find(tables.pools, lab=lab, profile=profile)
        return self._store.read(_pool_of, found[0]) if found else None

    def of_lab(self, lab: str) -> tuple[Pool, ...]:
        return tuple(self._store.read(_pool_of, row) for row in self._store.find(tables.pools, lab=lab))

    def list(self) -> tuple[Pool, ...]:
        return tuple(self._store.read(_pool_of, row) for row in self._store.find(tables.pools))

    def put(self, pool: Pool) -> None:
        counts = {"ready": pool.ready, "paused": pool.paused, "prespawned": pool.prespawned}
        row = {"lab": pool.lab, "profile": pool.profile, **counts, "minutes": pool.minutes}
        self._store.write(tables.pools, statements.putting(tables.pools, tuple(row)), row)

    def remove(self, lab: str, profile: str) -> bool:
        pools = tables.pools
        return self._store.change(delete(pools).where(pools.c.lab == lab, pools.c.profile == profile)) > 0


class SpareRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, guest: str) -> Spare | None:
        found = self._store.find(tables.spares, guest=guest)
        return self._store.read(_spare_of, found[0]) if found else None

    def list(self) -> tuple[Spare, ...]:
        return tuple(self._store.read(_spare_of, row) for row in self._store.find(tables.spares))

    def put(self, spare: Spare) -> None:
        row = {
            "guest": spare.run.guest,
            "generation": spare.run.generation,
            "kind": str(spare.kind),
            "lab": spare.lab,
            "profile": spare.profile,
            "since": time_text(spare.since),
            "template": spare.template,
        }
        self._store.write(tables.spares, statements.putting(tables.spares, tuple(row)), row)

    def remove(self, guest: str) -> None:
        self._store.change(delete(tables.spares).where(tables.spares.c.guest == guest))


def _pool_of(row: Row) -> Pool:
    counts = {"ready": row["ready"], "paused": row["paused"], "prespawned": row["prespawned"]}
    return Pool(lab=row["lab"], profile=row["profile"], **counts, minutes=row["minutes"])


def _spare_of(row: Row) -> Spare:
    return Spare(
        run=RunId(row["guest"], row["generation"]),
        kind=SpareKind(row["kind"]),
        lab=row["lab"],
        profile=row["profile"],
        since=time_of(row["since"]),
        template=row["template"],
    )
