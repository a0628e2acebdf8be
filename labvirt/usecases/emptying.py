# SPDX-License-Identifier: MIT
"""Taking one thing that nobody needs: first its row with a mark for its file, in one transaction that looks once more; then the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.dependencies import dependents_of
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import RunId
from labvirt.domain.image import Image, Version
from labvirt.domain.rubbish import Rubbish, RubbishKind
from labvirt.usecases import catalogue
from labvirt.usecases.jobs import ALL
from labvirt.usecases.ports import Ports
from labvirt.usecases.rubbish import DRAFT, ORPHANS, PICTURE, coming, user_of_kept


def take(ports: Ports, rubbish: Rubbish) -> bool:
    """It is gone; False when it is needed again after all. Being cut anywhere is fine: the next round finds the rest. Raises InUse,
    DiskError, DatabaseError."""
    name = rubbish.name
    if rubbish.kind is RubbishKind.IMAGE:
        return _image(ports, name)
    if rubbish.kind is RubbishKind.VERSION:
        image, _, number = name.rpartition(" v")
        return _version(ports, image, int(number))
    if rubbish.kind is RubbishKind.DRAFT:
        return _draft(ports, name)
    if rubbish.kind is RubbishKind.VERSION_FILE:
        return _file(ports, name)
    if rubbish.kind is RubbishKind.DRAFT_FILE:
        with ports.database.read() as work:
            if work.drafts.get(name) is not None:
                return False
        ports.drafts.remove(name)
    elif rubbish.kind is RubbishKind.KEPT:
        return _kept(ports, name)
    elif rubbish.kind is RubbishKind.CANARY:
        ports.trials.remove_picture(name)
    elif ports.uploads is not None:
        ports.uploads.remove(name)
    return True


def _image(ports: Ports, name: str) -> bool:
    with ports.database.write() as work:
        image = work.images.get(name)
        if image is None or not _is_over(ports, image) or dependents_of(catalogue.everybody(work, image), None):
            return False
        versions = work.images.versions(name)
        work.images.update(replace(image, published=None, previous=None))
        for version in _from_the_top(versions):
            _forget(ports, work, version)
        work.images.remove(name)
        _mark(ports, work, (str(version.file) for version in versions))
        ports.note(work, name, "gone from the recycle bin for good", verb="delete", noun="image")
        work.commit()
    for version in _from_the_top(versions):
        _remove_file(ports, version)
    return True


def _version(ports: Ports, name: str, number: int) -> bool:
    with ports.database.write() as work:
        image, version = work.images.get(name), work.images.version(name, number)
        if image is None or version is None or not _is_over(ports, version):
            return False
        if dependents_of(catalogue.everybody(work, image), number):
            return False
        if image.previous == number:
            work.images.update(replace(image, previous=None))
        _forget(ports, work, version)
        _mark(ports, work, (str(version.file),))
        ports.note(work, name, f"version {number} gone from the recycle bin for good", verb="delete", noun="version")
        work.commit()
    _remove_file(ports, version)
    return True


def _draft(ports: Ports, name: str) -> bool:
    with ports.database.write() as work:
        draft = work.drafts.get(name)
        if draft is None or draft.state not in (DraftState.PUBLISHED, DraftState.DISCARDED):
            return False
        if ports.clock.now() - draft.since < timedelta(days=ports.limits.bin_days):
            return False
        work.drafts.remove(name)
        _mark(ports, work, (DRAFT + name,))
        ports.note(work, draft.image, f"the draft {name} gone from the recycle bin for good", verb="delete", noun="draft", lab=draft.lab)
        work.commit()
    ports.drafts.remove(name)
    return True


def _file(ports: Ports, name: str) -> bool:
    file = PurePosixPath(name)
    with ports.database.write() as work:  # held until it is gone: nobody begins a work meanwhile that would take this file up
        if any(version.file == file for image in work.images.list() for version in work.images.versions(image.name)):
            return False
        if coming(work, work.jobs.list(unended=True, last=ALL), name):
            return False
        ports.store.remove(file)
    return True


def _kept(ports: Ports, name: str) -> bool:
    with ports.database.write() as work:  # held until it is gone: nobody starts from it meanwhile
        if user_of_kept(work, name):
            return False
        ports.kept.remove(RunId.parse(name))
    return True


def _is_over(ports: Ports, binned: Image | Version) -> bool:
    return binned.binned_at is not None and ports.clock.now() - binned.binned_at >= timedelta(days=ports.limits.bin_days)


def _from_the_top(versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """Those that stand on others first."""
    left, ordered = list(versions), []
    while left:
        free = [one for one in left if not any(other.backing == one.number for other in left if other is not one)] or left[-1:]
        ordered += free
        left = [one for one in left if one not in free]
    return tuple(ordered)


def _forget(ports: Ports, work: UnitOfWork, version: Version) -> None:
    """The version's row is gone in this unit of work, with what hangs on it. Guests at rest forget that they ran from it."""
    for guest in work.guests.list():
        if any((disk.image, disk.version) == (version.image, version.number) for disk in guest.disks):
            work.guests.update(replace(guest, disks=()))
    canary = work.canaries.get(version.image, version.number)
    if canary is not None:
        work.canaries.remove(version.image, version.number)
        if canary.picture:
            _mark(ports, work, (PICTURE + canary.picture,))
    work.facts.remove(catalogue.damage_fact(version.image, version.number))
    work.images.remove_version(version.image, version.number)


def _mark(ports: Ports, work: UnitOfWork, names: Iterable[str]) -> None:
    """Files whose row ends in this unit of work need no further grace: they had it in the bin."""
    marks: dict[str, str] = json.loads(work.facts.get(ORPHANS) or "{}")
    long_ago = ports.clock.now() - timedelta(hours=ports.limits.orphan_hours)
    marks.update({name: long_ago.isoformat() for name in names})
    work.facts.put(ORPHANS, json.dumps(marks, sort_keys=True))


def _remove_file(ports: Ports, version: Version) -> None:
    ports.store.remove(version.file)
