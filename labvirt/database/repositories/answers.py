# SPDX-License-Identifier: MIT
"""What requests with an Idempotency-Key were answered."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import delete

from labvirt.contracts.database import KeptAnswer
from labvirt.database import statements, tables
from labvirt.database.mapping.row import Row, time_of, time_text
from labvirt.database.store import Store

_columns = tables.kept_answers.c


class AnswerRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, who: str, key: str) -> KeptAnswer | None:
        found = self._store.find(tables.kept_answers, who=who, key=key)
        return self._store.read(_answer_of, found[0]) if found else None

    def put(self, answer: KeptAnswer) -> None:
        row = {
            "who": answer.who,
            "key": answer.key,
            "mark": answer.mark,
            "process": answer.process,
            "at": time_text(answer.at),
            "status": answer.status,
            "headers": json.dumps(answer.headers),
            "body": answer.body,
        }
        self._store.write(tables.kept_answers, statements.putting(tables.kept_answers, tuple(row)), row)

    def remove(self, who: str, key: str) -> None:
        """Absent is fine."""
        self._store.change(delete(tables.kept_answers).where(_columns.who == who, _columns.key == key))

    def trim(self, before: datetime) -> None:
        self._store.change(delete(tables.kept_answers).where(_columns.at < time_text(before)))


def _answer_of(row: Row) -> KeptAnswer:
    return KeptAnswer(
        who=row["who"],
        key=row["key"],
        mark=row["mark"],
        process=row["process"],
        at=time_of(row["at"]),
        status=row["status"],
        headers=tuple((name, value) for name, value in json.loads(row["headers"])),
        body=row["body"],
    )
