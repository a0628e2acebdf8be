# SPDX-License-Identifier: MIT
"""The image library as people look at it: each image and version with its real use, its depth, its canary, and who uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from labvirt.contracts.database import UnitOfWork
from labvirt.contracts.images import StoreEntry
from labvirt.domain.canary import Canary
from labvirt.domain.dependencies import Dependent, Everybody, dependents_of
from labvirt.domain.draft import Draft
from labvirt.domain.findings import Severity
from labvirt.domain.image import Image, Version, chain_of
from labvirt.domain.kept import Kept
from labvirt.domain.right import Right
from labvirt.errors import DiskError, ImageDamaged, NotFound
from labvirt.usecases import whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One version and what is known of it. `used_bytes` is what its folder really occupies (None: the folder is not there, or the
    store cannot be read); `depth` counts the files QEMU opens for it (None: one is missing); `damage` is what the last scrub found."""

    version: Version
    published: bool
    used_bytes: int | None
    depth: int | None
    users: tuple[Dependent, ...]
    canary: Canary | None
    damage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """An image with its versions by number, the profiles that use it, its drafts, and the last canaries of its versions.

    `used_bytes` is what all its version folders really occupy, also those that no row knows any more (`orphans`).
    """

    image: Image
    versions: tuple[Version, ...]
    profiles: tuple[str, ...]
    drafts: tuple[Draft, ...]
    canaries: tuple[Canary, ...]
    used_bytes: int
    details: tuple[VersionView, ...]
    orphans: tuple[StoreEntry, ...]


@needs(Right.LOOK, each=True)
def everything(ports: Ports) -> tuple[ImageView, ...]:
    """By name, with those in the recycle bin. Raises DatabaseError."""
    entries, kept = _entries(ports), _kept(ports)
    with ports.database.read() as work:
        found = visible(ports, work.images.list(), lambda image: whose.image(work, image.name))
        return tuple(_view(work, image, entries, kept) for image in found)


@needs(Right.LOOK, image="name")
def one(ports: Ports, name: str) -> ImageView:
    """Raises NotFound, DatabaseError."""
    entries, kept = _entries(ports), _kept(ports)
    with ports.database.read() as work:
        return _view(work, work.images.one(name), entries, kept)


@needs(Right.LOOK, image="image")
def version(ports: Ports, image: str, number: int) -> VersionView:
    """Raises NotFound, DatabaseError."""
    found = next((each for each in one(ports, image).details if each.version.number == number), None)
    if found is None:
        raise NotFound("version", f"{image}:{number}")
    return found


@needs(Right.STORE, site=True)
def orphans(ports: Ports) -> tuple[StoreEntry, ...]:
    """Version folders that no row knows: left by an interrupted work, or by flattening. Garbage collection takes them after a while.
    Raises DiskError, DatabaseError."""
    entries = ports.store.entries()
    with ports.database.read() as work:
        known = {each.file for image in work.images.list() for each in work.images.versions(image.name)}
    return tuple(entry for entry in entries if entry.file not in known)


def everybody(
    work: UnitOfWork,
    image: Image,
    kept: tuple[Kept, ...] = (),
    references: Mapping[PurePosixPath, tuple[str, ...]] | None = None,
) -> Everybody:
    """All who may need this image or a version of it, from this unit of work."""
    return Everybody(
        image=image,
        versions=work.images.versions(image.name),
        profiles=work.profiles.list(),
        guests=work.guests.list(),
        drafts=work.drafts.of_image(image.name),
        kept=kept,
        references=references,
    )


def damage_fact(image: str, number: int) -> str:
    """Name of the fact that holds what the last scrub found wrong with it."""
    return f"damaged:{image}:{number}"


def must_be_whole(ports: Ports, version: Version) -> None:
    """Raises ImageDamaged when its file, or one below it, is not what it should be, or a scrub found damage that nobody has mended.
    Reads no gigabytes."""
    with ports.database.read() as work:
        chain = chain_of(version, work.images.versions(version.image))
        known = {each.number: work.facts.get(damage_fact(each.image, each.number)) or "" for each in chain}
    for each in chain:
        finding = ports.store.check(each)
        damage = finding.sentence if finding is not None and finding.severity is Severity.ERROR else known[each.number]
        if damage:
            hint = f"Choose another version: labvirt version list {version.image}"
            raise ImageDamaged(damage, operation="use", subject=version.label, hint=hint)


def _view(work: UnitOfWork, image: Image, entries: Mapping[PurePosixPath, StoreEntry], kept: tuple[Kept, ...]) -> ImageView:
    all_ = everybody(work, image, kept)
    canaries = tuple(found for each in all_.versions if (found := work.canaries.get(image.name, each.number)) is not None)
    by_number = {canary.version: canary for canary in canaries}
    details = tuple(
        VersionView(
            version=each,
            published=image.published == each.number,
            used_bytes=entries[each.file].used_bytes if each.file in entries else None,
            depth=_depth(each, all_.versions),
            users=dependents_of(all_, each.number),
            canary=by_number.get(each.number),
            damage=work.facts.get(damage_fact(image.name, each.number)) or "",
        )
        for each in all_.versions
    )
    known = {each.file for each in all_.versions}
    mine = [entry for file, entry in sorted(entries.items()) if file.parts[0] == image.name]
    return ImageView(
        image=image,
        versions=all_.versions,
        profiles=tuple(p.name for p in all_.profiles if any(s.image == image.name for s in p.slots)),
        drafts=all_.drafts,
        canaries=canaries,
        used_bytes=sum(entry.used_bytes for entry in mine),
        details=details,
        orphans=tuple(entry for entry in mine if entry.file not in known),
    )


def _depth(version: Version, versions: tuple[Version, ...]) -> int | None:
    try:
        return len(chain_of(version, versions))
    except ImageDamaged:
        return None


def _entries(ports: Ports) -> dict[PurePosixPath, StoreEntry]:
    """Looking must work when the store does not: `image check` and verify say what is wrong with it."""
    try:
        return {entry.file: entry for entry in ports.store.entries()}
    except DiskError:
        return {}


def _kept(ports: Ports) -> tuple[Kept, ...]:
    try:
        return ports.kept.list()
    except DiskError:
        return ()
