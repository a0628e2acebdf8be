# SPDX-License-Identifier: MIT
"""Who needs a version or a whole image: the rule behind 'it cannot be deleted, because' and behind the dependency view. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from labvirt.domain.draft import Draft
from labvirt.domain.guest import Guest, GuestState, Purpose, Wish
from labvirt.domain.image import Image, Version
from labvirt.domain.kept import Kept
from labvirt.domain.profile import Profile

_AT_REST = (GuestState.STOPPED, GuestState.FAILED, GuestState.WANTED)


class Need(StrEnum):
    POINTER = "pointer"
    """It is what its image publishes."""
    PROFILE = "profile"
    GUEST = "guest"
    DRAFT = "draft"
    LAYER = "layer"
    """Another version's file stands on its file."""
    KEPT = "kept"
    """A kept overlay stands on it."""
    FILE = "file"
    """A file's real header names it, whatever the database says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """One who needs it. `holds`: it may not even be put into the recycle bin; otherwise only garbage collection waits for it."""

    need: Need
    name: str
    holds: bool
    why: str
    """Words after its name: 'the profile desk, which is pinned to it'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Everybody:
    """All rows that may need a version, and what the headers of real files say."""

    image: Image
    versions: tuple[Version, ...]
    profiles: tuple[Profile, ...] = ()
    guests: tuple[Guest, ...] = ()
    drafts: tuple[Draft, ...] = ()
    kept: tuple[Kept, ...] = ()
    references: Mapping[PurePosixPath, tuple[str, ...]] | None = None


def uses_disks(guest: Guest) -> bool:
    """Do its recorded disks matter now? A seat's guest at rest chooses anew; the others keep theirs while they are wanted."""
    return guest.state not in _AT_REST or (guest.purpose is not Purpose.SEAT and guest.wish is Wish.RUNNING)


def dependents_of(everybody: Everybody, number: int | None) -> tuple[Dependent, ...]:
    """Who needs this version, or (None) any version of the image; those that hold it first."""
    found = [
        *_pointer(everybody, number),
        *_profiles(everybody, number),
        *_guests(everybody, number),
        *_drafts(everybody, number),
        *_layers(everybody, number),
        *_kept(everybody, number),
    ]
    found += _files(everybody, number, {each.name for each in found})
    return tuple(sorted(found, key=lambda each: not each.holds))


def said(dependents: Iterable[Dependent]) -> str:
    """All of them as one phrase: 'the profile desk, the guest lab-a-01'."""
    return ", ".join(each.why for each in dependents)


def _pointer(everybody: Everybody, number: int | None) -> Iterable[Dependent]:
    image = everybody.image
    if number is not None and image.published == number:
        yield Dependent(need=Need.POINTER, name=image.name, holds=True, why=f"the image {image.name}, which publishes it")


def _profiles(everybody: Everybody, number: int | None) -> Iterable[Dependent]:
    image = everybody.image
    for profile in everybody.profiles:
        slots = [slot for slot in profile.slots if slot.image == image.name]
        pinned = any(slot.version is not None and number in (None, slot.version) for slot in slots)
        follows = any(slot.version is None and number in (None, image.published) for slot in slots)
        if pinned or follows:
            how = ", which is pinned to it" if pinned and number is not None else ""
            yield Dependent(need=Need.PROFILE, name=profile.name, holds=True, why=f"the profile {profile.name}{how}")


def _guests(everybody: Everybody, number: int | None) -> Iterable[Dependent]:
    for guest in everybody.guests:
        if uses_disks(guest) and any(d.image == everybody.image.name and number in (None, d.version) for d in guest.disks):
            yield Dependent(need=Need.GUEST, name=guest.name, holds=True, why=f"the guest {guest.name}, which is {guest.state}")


def _drafts(everybody: Everybody, number: int | None) -> Iterable[Dependent]:
    for draft in everybody.drafts:
        if draft.image == everybody.image.name and (number is None or number in (draft.parent, draft.candidate)):
            yield Dependent(need=Need.DRAFT, name=draft.name, holds=draft.alive, why=f"the draft {draft.name}, which is {draft.state}")


def _layers(everybody: Everybody, number: int | None) -> Iterable[Dependent]:
    for version in everybody.versions:
        if number is not None and version.backing == number:
            why = f"{version.label}, whose file stands on it"
            yield Dependent(need=Need.LAYER, name=version.label, holds=version.binned_at is None, why=why)


def _kept(everybody: Everybody, number: int | None) -> Iterable[Dependent]:
    for kept in everybody.kept:
        if any(d.image == everybody.image.name and number in (None, d.version) for d in kept.disks):
            yield Dependent(need=Need.KEPT, name=f"kept {kept.run}", holds=False, why=f"the kept overlay of {kept.run}")


def _files(everybody: Everybody, number: int | None, known: set[str]) -> Iterable[Dependent]:
    files = {version.file for version in everybody.versions if number in (None, version.number)}
    own = {version.label for version in everybody.versions} if number is None else set()
    told: set[str] = set()
    for file in sorted(files & (everybody.references or {}).keys()):
        told.update((everybody.references or {})[file])
    for who in sorted(told - known - own):
        if who.rpartition(".g")[0] not in known:  # a run's folder of a guest that is in the list already
            yield Dependent(need=Need.FILE, name=who, holds=False, why=f"the file of {who}")
