# SPDX-License-Identifier: MIT
"""Images, their versions, and the numbers that are never used twice."""

from __future__ import annotations

from sqlalchemy import delete, or_, select, update

from labvirt.database import statements, tables
from labvirt.database.mapping.image import image_of, image_row, version_of, version_row
from labvirt.database.repositories.named import NamedRepository
from labvirt.database.repositories.records import FactRepository
from labvirt.database.store import Store
from labvirt.domain.guest import GuestState, Purpose, Wish
from labvirt.domain.image import Image, Stage, Version
from labvirt.errors import Conflict, NotFound

_versions = tables.versions.c
_images = tables.images.c
_guests = tables.guests.c
_disks = tables.guest_disks.c
_drafts = tables.drafts.c

_FACTS = {"version": "last-number", "draft": "last-draft"}


class ImageRepository(NamedRepository[Image]):
    def __init__(self, store: Store) -> None:
        super().__init__(store, tables.images, image_row, image_of)

    def versions(self, image: str) -> tuple[Version, ...]:
        return tuple(self._store.read(version_of, row) for row in self._store.find(tables.versions, image=image))

    def version(self, image: str, number: int) -> Version | None:
        found = self._store.find(tables.versions, image=image, number=number)
        return self._store.read(version_of, found[0]) if found else None

    def add_version(self, version: Version) -> None:
        row = version_row(version)
        self._store.write(tables.versions, statements.adding(tables.versions, tuple(row)), row)

    def update_version(self, version: Version) -> None:
        row = version_row(version)
        statement = statements.changing(tables.versions, tuple(row))
        if self._store.write(tables.versions, statement, statements.with_old(tables.versions, row)) == 0:
            raise NotFound("version", f"{version.image}:{version.number}")

    def remove_version(self, image: str, number: int) -> None:
        """Who only remembers it does not keep it: guests that are off and would choose anew, the way back of an undo, the canary, a
        draft's candidate.
        """
        found = self._store.find(tables.versions, image=image, number=number)
        if not found:
            raise NotFound("version", f"{image}:{number}")
        off = _guests.state == str(GuestState.STOPPED)
        given_up = (_guests.state == str(GuestState.FAILED)) & or_(_guests.purpose == str(Purpose.SEAT), _guests.wish == str(Wish.STOPPED))
        stale = select(_guests.name).where(or_(off, given_up))
        there = (_disks.image == image, _disks.version == number)
        forget = select(_disks.guest).where(*there, _disks.guest.in_(stale))
        self._store.change(delete(tables.guest_disks).where(_disks.guest.in_(forget)))
        self._store.change(update(tables.images).where(_images.name == image, _images.previous == number).values(previous=None))
        self._store.change(update(tables.drafts).where(_drafts.image == image, _drafts.candidate == number).values(candidate=None))
        self._store.remove(tables.versions, found[0], f"{image} v{number}")

    def publish(self, image: str, number: int, *, expected: int | None) -> None:
        if self.version(image, number) is None:
            raise NotFound("version", f"{image}:{number}")
        before = _images.published.is_(None) if expected is None else _images.published == expected
        previous = _images.previous if number == expected else expected
        meant = update(tables.images).where(_images.name == image).where(before)
        if self._store.change(meant.values(published=number, previous=previous)) == 0:
            now = self.one(image).published
            raise Conflict(
                f"The published version of {image} is {now or 'none'} now, no longer {expected or 'none'}.",
                hint=f"Somebody else published: look, then try again (labvirt image show {image}).",
            )
        others = (_versions.image == image, _versions.number != number, _versions.stage == str(Stage.PUBLISHED))
        self._store.change(update(tables.versions).where(*others).values(stage=str(Stage.RETIRED)))
        chosen = (_versions.image == image, _versions.number == number)
        self._store.change(update(tables.versions).where(*chosen).values(stage=str(Stage.PUBLISHED)))

    def next_number(self, image: str, of: str = "version") -> int:
        fact = f"{_FACTS[of]}:{image}"
        facts = FactRepository(self._store)
        number = max(self._highest(image, of), int(facts.get(fact) or 0)) + 1
        facts.put(fact, str(number))
        return number

    def _highest(self, image: str, of: str) -> int:
        if of == "version":
            return max((row["number"] for row in self._store.find(tables.versions, image=image)), default=0)
        names = (row["name"] for row in self._store.find(tables.drafts, image=image))
        return max((int(name.rpartition(".d")[2]) for name in names), default=0)
