# SPDX-License-Identifier: MIT
"""/images: named lines of versions; who needs them, and whether they are whole."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.contracts.images import StoreEntry
from labvirt.domain.canary import Canary
from labvirt.domain.dependencies import Dependent
from labvirt.domain.draft import Draft
from labvirt.domain.findings import Finding
from labvirt.domain.image import Image, Version
from labvirt.domain.job import Job
from labvirt.usecases import garbage, images, scrubbing
from labvirt.usecases.catalogue import ImageView
from labvirt.usecases.ports import Ports
from labvirt.web.api.jobs import JOB
from labvirt.web.api.model import Name, Text, Told, model_of, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("images", "Disk images: named lines of versions.")

CANARY = shape(Canary, shapes.canary, name="CanaryTold", green=bool, why_red=str)
VERSION = shape(
    Version,
    shapes.version,
    name="VersionTold",
    used_bytes=int | None,
    depth=int | None,
    users=list[model_of(Dependent)],  # type: ignore[misc]
    canary=CANARY.model | None,
    damage=str,
)
DRAFT = shape(Draft, shapes.draft, name="DraftTold", alive=bool)
_ORPHAN = model_of(StoreEntry)
IMAGE_VIEW = shape(
    Image,
    shapes.image,
    name="ImageView",
    versions=list[VERSION.model],  # type: ignore[name-defined]
    profiles=list[str],
    drafts=list[DRAFT.model],  # type: ignore[name-defined]
    used_bytes=int,
    orphans=list[_ORPHAN],  # type: ignore[valid-type]
)
IMAGE = shape(Image)
NEEDS = Many(shape(Dependent), key=lambda each: (str(each.need), each.name, each.why))
FINDINGS = Many(shape(Finding), key=lambda each: (each.code, each.subject, each.sentence))


class Blank(Told):
    """An empty disk, to install a system on."""

    name: Name
    size_bytes: Annotated[int, Field(ge=1, le=1 << 60)]
    note: Text = ""
    publish: Annotated[bool, Field(description="Is it what guests start from?")] = False


class Note(Told):
    """For people."""

    note: Text


class OfImage(Paged):
    """Of which image."""

    image: Annotated[str, Field(max_length=64, description="Only of this image.")] = ""


class Scrub(Told):
    """Of which image; null: of all."""

    image: Name | None = None


@noun.get(
    "/images", Many(IMAGE_VIEW, key=lambda each: each.image.name, sorts={"used_bytes": lambda each: each.used_bytes}), cli="image list"
)
def list_(ports: Ports, asked: Paged) -> tuple[ImageView, ...]:
    """All images, also those in the recycle bin."""
    return images.everything(ports)


@noun.get("/images/{image}", IMAGE_VIEW, cli="image show")
def show(ports: Ports, image: str) -> ImageView:
    """One image with its versions, drafts and orphans."""
    return images.one(ports, image)


@noun.post("/images", JOB, status=HTTPStatus.ACCEPTED, cli="image blank")
def blank(ports: Ports, told: Blank) -> Job:
    """Make an empty disk, to install a system on. (A disk file that exists is sent by the uploads.)"""
    return images.blank(ports, told.name, bytes=told.size_bytes, by=ports.caller.name, note=told.note, publish=told.publish)


@noun.patch("/images/{image}", IMAGE, guarded_by="images_show", cli="image note")
def note(ports: Ports, image: str, told: Note) -> Image:
    """Write a note beside it, for people."""
    return images.set_note(ports, image, told.note)


@noun.delete("/images/{image}", IMAGE, guarded_by="images_show", cli="image delete")
def delete(ports: Ports, image: str) -> Image:
    """Put it into the recycle bin, with all its versions; only when nobody uses it."""
    return images.bin(ports, image, by=ports.caller.name)


@noun.post("/images/{image}/restore", IMAGE, cli="image restore")
def restore(ports: Ports, image: str) -> Image:
    """Take it out of the recycle bin, as it was."""
    return images.restore(ports, image, by=ports.caller.name)


@noun.get("/images/{image}/needs", NEEDS, cli="image needs")
def needs(ports: Ports, image: str, asked: Paged) -> tuple[Dependent, ...]:
    """Who needs the image: by rows and by the headers of real files."""
    return garbage.dependents(ports, image)


@noun.get("/image-findings", FINDINGS, cli="image check")
def check(ports: Ports, asked: OfImage) -> tuple[Finding, ...]:
    """Whether all files are what they should be; nothing found is well."""
    return images.check(ports, asked.image or None)


@noun.post("/scrubs", JOB, status=HTTPStatus.ACCEPTED, cli="image scrub")
def scrub(ports: Ports, told: Scrub) -> Job:
    """Read every byte and compare checksums."""
    return scrubbing.scrub(ports, told.image, by=ports.caller.name)
