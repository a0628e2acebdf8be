# SPDX-License-Identifier: MIT
"""Images and their versions: a file becomes the next version, and one pointer says which version is used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from labvirt.domain.findings import Finding
from labvirt.domain.image import Image, Stage, Version
from labvirt.domain.names import check_name, one_line
from labvirt.errors import InvalidInput, NotFound
from labvirt.usecases.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """An image with its versions by number and the profiles that use it."""

    image: Image
    versions: tuple[Version, ...]
    profiles: tuple[str, ...]


def everything(ports: Ports) -> tuple[ImageView, ...]:
    with ports.database.read() as work:
        profiles = work.profiles.list()
        return tuple(
            ImageView(
                image=image,
                versions=work.images.versions(image.name),
                profiles=tuple(p.name for p in profiles if any(s.image == image.name for s in p.slots)),
            )
            for image in work.images.list()
        )


def one(ports: Ports, name: str) -> ImageView:
    """Raises NotFound."""
    view = next((view for view in everything(ports) if view.image.name == name), None)
    if view is None:
        raise NotFound("image", name)
    return view


def add(ports: Ports, name: str, source: Path, *, format: str, note: str = "", publish: bool = True) -> Version:
    """The file is the next version of the image (which is made if need be) and, with `publish`, what guests start
    from.

    The copy is durable before the database says so. Numbers are never used twice: one is reserved before the copy,
    so that two people adding at once do not meet. After a failure neither version nor file is there. Raises
    InvalidInput, ImageDamaged, DiskError, Exhausted('disk'), DatabaseError.
    """
    check_name(name, "name")
    if format not in ("qcow2", "raw"):
        raise InvalidInput("format", "must be qcow2 or raw")
    try:
        there = source.is_file()
    except OSError as error:  # a name that no file can have
        raise InvalidInput("source", f"cannot be a file: {error.strerror}") from error
    if not there:
        raise InvalidInput("source", f"{source} is not a file")
    number = _reserve(ports, name)
    stored = ports.disks.import_version(source, format=format, image=name, number=number)
    version = Version(
        image=name,
        number=number,
        file=stored.file,
        format=stored.format,
        size_bytes=stored.size_bytes,
        virtual_bytes=stored.virtual_bytes,
        sha256=stored.sha256,
        stage=Stage.PUBLISHED if publish else Stage.DRAFT,
        made_at=ports.clock.now(),
        note=one_line(note),
    )
    with ports.database.write() as work:
        image = work.images.get(name)
        if image is None:
            image = Image(name=name)
            work.images.add(image)
        work.images.add_version(version)
        if publish:
            work.images.publish(name, number, expected=image.published)
        ports.note(work, name, f"version {number} added{' and published' if publish else ''}")
        work.commit()
    ports.poke()
    return version


def publish(ports: Ports, name: str, number: int) -> Image:
    """Guests that start from now on use this version; running ones stay. The way back is the same. Raises NotFound,
    ImageDamaged.
    """
    with ports.database.write() as work:
        image = work.images.one(name)
        if work.images.version(name, number) is None:
            raise NotFound("version", f"{name}:{number}")
        work.images.publish(name, number, expected=image.published)
        ports.note(work, name, f"version {number} published (before: {image.published or 'none'})")
        work.commit()
    ports.poke()
    return replace(image, published=number)


def check(ports: Ports, name: str | None = None) -> tuple[Finding, ...]:
    """What is wrong with the files of all versions, or of one image's."""
    views = everything(ports) if name is None else (one(ports, name),)
    findings = (ports.disks.check_version(version) for view in views for version in view.versions)
    return tuple(finding for finding in findings if finding is not None)


def _reserve(ports: Ports, name: str) -> int:
    with ports.database.write() as work:
        fact = f"last-number:{name}"
        used = max((v.number for v in work.images.versions(name)), default=0)
        number = max(used, int(work.facts.get(fact) or 0)) + 1
        work.facts.put(fact, str(number))
        work.commit()
    return number
