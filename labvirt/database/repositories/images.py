# SPDX-License-Identifier: MIT
"""Images and their versions."""

from __future__ import annotations

from sqlalchemy import update

from labvirt.database import mapping, statements, tables
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.store import Store
from labvirt.domain.image import Image, Stage, Version
from labvirt.errors import Conflict, NotFound

_versions = tables.versions.c
_images = tables.images.c


class ImageRepository(NamedRepository[Image]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.images, mapping.image_row, mapping.image_of)

    def versions(self, image: str) -> tuple[Version, ...]:
        return tuple(self._store.read(mapping.version_of, row) for row in self._store.find(tables.versions, image=image))

    def version(self, image: str, number: int) -> Version | None:
        found = self._store.find(tables.versions, image=image, number=number)
        return self._store.read(mapping.version_of, found[0]) if found else None

    def add_version(self, version: Version) -> None:
        row = mapping.version_row(version)
        self._store.write(tables.versions, statements.adding(tables.versions, tuple(row)), row)

    def publish(self, image: str, number: int, *, expected: int | None) -> None:
        """The version's stage is 'published' too; the one before keeps its own (the way back is the same call)."""
        if self.version(image, number) is None:
            raise NotFound("version", f"{image}:{number}")
        before = _images.published.is_(None) if expected is None else _images.published == expected
        moved = self._store.change(update(tables.images).where(_images.name == image).where(before).values(published=number))
        if moved == 0:
            now = self.one(image).published
            raise Conflict(
                f"The published version of {image} is {now or 'none'} now, no longer {expected or 'none'}.",
                hint=f"Somebody else published: look, then try again (labvirt image show {image}).",
            )
        self._store.change(
            update(tables.versions).where(_versions.image == image, _versions.number == number).values(stage=str(Stage.PUBLISHED))
        )
