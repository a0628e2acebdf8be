# SPDX-License-Identifier: MIT
# ruff: noqa: PT028 - `test` is a verb of people here, not of pytest
"""Versions: which one is published, the way back, the recycle bin, and the long works on one of them."""

from __future__ import annotations

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.image import Image, Stage, Version
from labvirt.domain.job import Job, JobKind
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import Conflict, InvalidInput, NotFound
from labvirt.usecases import catalogue, flattening, jobs, people
from labvirt.usecases.catalogue import VersionView as VersionView
from labvirt.usecases.ports import Ports
from labvirt.usecases.recycling import bin_version as bin
from labvirt.usecases.recycling import one_version
from labvirt.usecases.recycling import restore_version as restore
from labvirt.usecases.rights import needs

__all__ = ["VersionView", "bin", "flatten", "of", "one", "publish", "restore", "rollback", "test"]


@needs(Right.LOOK, image="image")
def of(ports: Ports, image: str) -> tuple[VersionView, ...]:
    """All versions of the image, by number, with what is known of each. Raises NotFound."""
    return catalogue.one(ports, image).details


@needs(Right.LOOK, image="image")
def one(ports: Ports, image: str, number: int) -> VersionView:
    """Raises NotFound."""
    return catalogue.version(ports, image, number)


@needs(Right.UPDATE, image="image")
def publish(ports: Ports, image: str, number: int, *, by: str, override: str = "") -> Image:
    """Guests that start from now on use this version; running ones stay on theirs. Durable when it returns. Publishing what is published
    changes nothing.

    It must have been tested (a green canary), or published before; `override` is the reason why it is published without, kept in
    the history. Raises NotFound, MustConfirm, ImageDamaged (its file is not what it should be), Conflict (not tested; in the recycle bin),
    DatabaseError.
    """
    people.lately(ports)
    with ports.database.read() as work:
        version = one_version(work, image, number)
        if work.images.one(image).published == number:
            return work.images.one(image)
    catalogue.must_be_whole(ports, version)
    with ports.database.write() as work:
        now, version = work.images.one(image), one_version(work, image, number)
        if now.published == number:
            return now
        _not_binned(now, version)
        doubt = _doubt(work, version)
        if doubt and not override.strip():
            raise Conflict(
                f"{version.label} is not published: {doubt}.",
                hint=f"Try it: labvirt version test {image} {number}. Or publish it all the same: "
                f'labvirt version publish {image} {number} --override "REASON"',
            )
        why = f", although {doubt}: {one_line(override)}" if doubt else ""
        changed = _move(ports, work, now, number, f"published by {by}{why}")
    ports.poke()
    return changed


@needs(Right.UPDATE, image="image")
def rollback(ports: Ports, image: str, *, by: str) -> Image:
    """What was published before is published again; the way back is the same. Raises NotFound, Conflict (nothing was published before,
    or it is in the recycle bin), ImageDamaged."""
    with ports.database.read() as work:
        before = work.images.one(image)
        version = _previous(work, before)
    catalogue.must_be_whole(ports, version)
    with ports.database.write() as work:
        now = work.images.one(image)
        if (now.published, now.previous) != (before.published, before.previous):
            raise Conflict(f"Somebody else published v{now.published} of {image} meanwhile.", hint=f"labvirt version list {image}")
        _not_binned(now, version := _previous(work, now))
        changed = _move(ports, work, now, version.number, f"published again by {by} (undo of version {now.published})")
    ports.poke()
    return changed


@needs(Right.STORE, image="image")
def flatten(ports: Ports, image: str, number: int, *, by: str) -> Job:
    """A job after which the version's file is complete by itself. One that waits or runs already is given back. Raises NotFound."""
    with ports.database.write() as work:
        version = one_version(work, image, number)
        job = flattening.wanted(ports, work, version, by=by)
        work.commit()
    ports.poke()
    return job


@needs(Right.UPDATE, image="image", lab="lab")
def test(ports: Ports, image: str, number: int, *, profile: str | None = None, lab: str | None = None, by: str) -> Job:
    """A job that tries the version (canaries.py). `profile` None: the first that uses the image; `lab` None: the first where it fits.
    Raises NotFound, Conflict (no profile uses the image; in the recycle bin), InvalidInput (the profile does not use it)."""
    with ports.database.write() as work:
        version = one_version(work, image, number)
        _not_binned(work.images.one(image), version)
        users = sorted(
            (p for p in work.profiles.list() if any(slot.image == image for slot in p.slots)),
            key=lambda p: (not p.active, p.position, p.name),
        )
        if profile is not None:
            wanted = work.profiles.one(profile)
            if wanted not in users:
                raise InvalidInput("profile", f"{profile} has no disk of the image {image}")
            users = [wanted]
        if not users:
            raise Conflict(f"No profile uses the image {image}.", hint="A profile says with which machine it is tried: labvirt profile add")
        labs = [each.name for each in work.labs.list() if not users[0].labs or each.name in users[0].labs]
        if lab is not None:
            labs = [work.labs.one(lab).name]
        if not labs:
            raise Conflict("There is no lab in which it could be tried.", hint="labvirt lab add NAME --network 10.77.0.0/24")
        arguments = {"image": image, "number": str(number), "profile": users[0].name, "lab": labs[0]}
        job = jobs.enqueue_in(ports, work, JobKind.CANARY, version.label, by=by, arguments=arguments)
        work.commit()
    ports.poke()
    return job


def _doubt(work: UnitOfWork, version: Version) -> str:
    """Why nobody should get it yet; empty when somebody has looked at it."""
    canary = work.canaries.get(version.image, version.number)
    if version.stage in (Stage.PUBLISHED, Stage.RETIRED) or (canary is not None and canary.green):
        return ""
    if version.stage is Stage.TESTED and canary is None:
        return ""
    return f"its canary was red ({canary.why_red})" if canary is not None else "it was never tested"


def _not_binned(image: Image, version: Version) -> None:
    if image.binned_at is not None:
        raise Conflict(f"The image {image.name} is in the recycle bin.", hint=f"labvirt image restore {image.name}")
    if version.binned_at is not None:
        raise Conflict(f"{version.label} is in the recycle bin.", hint=f"labvirt version restore {image.name} {version.number}")


def _previous(work: UnitOfWork, image: Image) -> Version:
    version = work.images.version(image.name, image.previous) if image.previous is not None else None
    if version is None:
        raise Conflict(
            f"There is nothing to go back to: no other version of {image.name} was published before.",
            hint=f"labvirt version list {image.name}, then labvirt version publish {image.name} NUMBER",
        )
    return version


def _move(ports: Ports, work: UnitOfWork, image: Image, number: int, what: str) -> Image:
    """The pointer is moved and committed; the image as it is afterwards."""
    if work.images.version(image.name, number) is None:
        raise NotFound("version", f"{image.name}:{number}")
    work.images.publish(image.name, number, expected=image.published)
    ports.note(
        work,
        image.name,
        f"version {number} {what} (before: {image.published or 'none'})",
        verb="publish",
        noun="image",
        before={"published": image.published},
        after={"published": number},
    )
    changed = work.images.one(image.name)
    work.commit()
    return changed
