# SPDX-License-Identifier: MIT
"""Drafts: one per image may be open."""

from __future__ import annotations

from labvirt.database import tables
from labvirt.database.mapping.draft import draft_of, draft_row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.draft import Draft, DraftState


class DraftRepository(NamedRepository[Draft]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.drafts, draft_row, draft_of)

    def of_image(self, image: str) -> tuple[Draft, ...]:
        return self._where(image=image)

    def open_of(self, image: str) -> Draft | None:
        return self._first(image=image, state=str(DraftState.OPEN))
