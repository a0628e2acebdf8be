# SPDX-License-Identifier: MIT
"""Messages for whoever sits at a guest: one each."""

from __future__ import annotations

from labvirt.database import statements, tables
from labvirt.database.mapping.row import Row, time_of, time_text
from labvirt.database.store import Store
from labvirt.domain.message import Message


class MessageRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, guest: str) -> Message | None:
        found = self._store.find(tables.messages, guest=guest)
        return self._store.read(_message_of, found[0]) if found else None

    def put(self, message: Message) -> None:
        row = {"guest": message.guest, "text": message.text, "until": time_text(message.until)}
        self._store.write(tables.messages, statements.putting(tables.messages, tuple(row)), row)


def _message_of(row: Row) -> Message:
    return Message(guest=row["guest"], text=row["text"], until=time_of(row["until"]))
