# SPDX-License-Identifier: MIT
"""The recycle bin of images and versions: into it when nobody needs them, and out of it again. garbage.py empties it."""

from __future__ import annotations

from dataclasses import replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.dependencies import Dependent, dependents_of, said
from labvirt.domain.image import Image, Version
from labvirt.domain.right import Right
from labvirt.errors import Conflict, InUse, NotFound
from labvirt.usecases import catalogue
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@needs(Right.STORE, image="name")
def bin_image(ports: Ports, name: str, *, by: str) -> Image:
    """The image with all its versions is in the recycle bin: nothing new starts from it. Twice is fine. Raises NotFound, InUse (all who
    need it are named)."""
    with ports.database.write() as work:
        image = work.images.one(name)
        if image.binned_at is not None:
            return image
        _refuse_needed(dependents_of(catalogue.everybody(work, image), None), "image", name)
        image = replace(image, binned_at=ports.clock.now())
        work.images.update(image)
        ports.note(work, name, f"put into the recycle bin by {by}", verb="bin", noun="image")
        work.commit()
    return image


@needs(Right.STORE, image="name")
def restore_image(ports: Ports, name: str, *, by: str) -> Image:
    """The image is out of the recycle bin, as it was. Twice is fine. Raises NotFound."""
    with ports.database.write() as work:
        image = work.images.one(name)
        if image.binned_at is None:
            return image
        image = replace(image, binned_at=None)
        work.images.update(image)
        ports.note(work, name, f"taken out of the recycle bin by {by}", verb="restore", noun="image")
        work.commit()
    return image


@needs(Right.STORE, image="name")
def bin_version(ports: Ports, name: str, number: int, *, by: str) -> Version:
    """The version is in the recycle bin. Twice is fine. Raises NotFound, InUse (all who need it are named)."""
    with ports.database.write() as work:
        version = one_version(work, name, number)
        if version.binned_at is not None:
            return version
        _refuse_needed(dependents_of(catalogue.everybody(work, work.images.one(name)), number), "version", version.label)
        version = replace(version, binned_at=ports.clock.now())
        work.images.update_version(version)
        ports.note(work, name, f"version {number} put into the recycle bin by {by}", verb="bin", noun="version")
        work.commit()
    return version


@needs(Right.STORE, image="name")
def restore_version(ports: Ports, name: str, number: int, *, by: str) -> Version:
    """The version is out of the recycle bin, with those on whose files it stands. Twice is fine. Raises NotFound, Conflict (the image
    itself is in the bin)."""
    with ports.database.write() as work:
        image, version = work.images.one(name), one_version(work, name, number)
        if image.binned_at is not None:
            raise Conflict(f"The image {name} is in the recycle bin itself.", hint=f"labvirt image restore {name}")
        below: Version | None = version
        while below is not None:
            if below.binned_at is not None:
                work.images.update_version(replace(below, binned_at=None))
                ports.note(work, name, f"version {below.number} taken out of the recycle bin by {by}", verb="restore", noun="version")
            below = work.images.version(name, below.backing) if below.backing is not None else None
        work.commit()
    return replace(version, binned_at=None)


def one_version(work: UnitOfWork, name: str, number: int) -> Version:
    """Raises NotFound, of the image or of the version."""
    work.images.one(name)
    version = work.images.version(name, number)
    if version is None:
        raise NotFound("version", f"{name}:{number}")
    return version


def _refuse_needed(dependents: tuple[Dependent, ...], noun: str, name: str) -> None:
    holding = [each for each in dependents if each.holds]
    if holding:
        raise InUse(noun, name, said(holding))
