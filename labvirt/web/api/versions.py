# SPDX-License-Identifier: MIT
"""/images/{image}/versions: publish, undo, try, delete."""

from __future__ import annotations

from http import HTTPStatus

from labvirt.domain.dependencies import Dependent
from labvirt.domain.image import Image, Version
from labvirt.domain.job import Job
from labvirt.usecases import catalogue, garbage, images, looking, versions
from labvirt.usecases.catalogue import VersionView
from labvirt.usecases.ports import Ports
from labvirt.web.api.images import IMAGE, NEEDS, VERSION, Note
from labvirt.web.api.jobs import JOB
from labvirt.web.api.model import Name, Number, Text, Told, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("versions", "Versions of images, which are never written again: publish, undo, try, delete.")

ROW = shape(Version)


class VersionPublishing(Told):
    """Without a green canary `override` says why; it stays in the history."""

    override: Text = ""


class Trial(Told):
    """What the canary is made of, and where it stands; null: what fits."""

    profile: Name | None = None
    lab: Name | None = None


@noun.get("/images/{image}/versions", Many(VERSION, key=lambda each: each.version.number), cli="version list")
def list_(ports: Ports, image: str, asked: Paged) -> tuple[VersionView, ...]:
    """All versions of an image."""
    return catalogue.one(ports, image).details


@noun.get("/images/{image}/versions/{number}", VERSION, cli="version show")
def show(ports: Ports, image: str, number: Number) -> VersionView:
    """One version: file, history, users, and what its canary saw."""
    return catalogue.version(ports, image, number)


@noun.get("/images/{image}/versions/{number}/picture", "image/png", cli="version show")
def picture(ports: Ports, image: str, number: Number) -> bytes:
    """What its canary's screen showed, as a PNG."""
    return looking.canary_picture(ports, image, number)


@noun.get("/images/{image}/versions/{number}/needs", NEEDS, cli="image needs")
def needs(ports: Ports, image: str, number: Number, asked: Paged) -> tuple[Dependent, ...]:
    """Who needs this version."""
    return garbage.dependents(ports, image, number)


@noun.patch("/images/{image}/versions/{number}", VERSION, guarded_by="versions_show", cli="version note")
def note(ports: Ports, image: str, number: Number, told: Note) -> VersionView:
    """Write a note beside it, for people."""
    images.set_note(ports, image, told.note, number=number)
    return catalogue.version(ports, image, number)


@noun.delete("/images/{image}/versions/{number}", ROW, guarded_by="versions_show", cli="version delete")
def delete(ports: Ports, image: str, number: Number) -> Version:
    """Put a version that nobody uses into the recycle bin."""
    return versions.bin(ports, image, number, by=ports.caller.name)


@noun.post("/images/{image}/versions/{number}/restore", ROW, cli="version restore")
def restore(ports: Ports, image: str, number: Number) -> Version:
    """Take it out of the recycle bin."""
    return versions.restore(ports, image, number, by=ports.caller.name)


@noun.post("/images/{image}/versions/{number}/publish", IMAGE, cli="version publish")
def publish(ports: Ports, image: str, number: Number, told: VersionPublishing) -> Image:
    """Guests that start from now on use it. Running ones stay on theirs."""
    return versions.publish(ports, image, number, by=ports.caller.name, override=told.override)


@noun.post("/images/{image}/rollback", IMAGE, cli="version rollback")
def rollback(ports: Ports, image: str) -> Image:
    """Undo: publish what was published before. Once more is the way forth again."""
    return versions.rollback(ports, image, by=ports.caller.name)


@noun.post("/images/{image}/versions/{number}/test", JOB, status=HTTPStatus.ACCEPTED, cli="version test")
def test(ports: Ports, image: str, number: Number, told: Trial) -> Job:
    """Run its canary: it must get its lease, open its port and pass the profile's checks."""
    return versions.test(ports, image, number, profile=told.profile, lab=told.lab, by=ports.caller.name)


@noun.post("/images/{image}/versions/{number}/flatten", JOB, status=HTTPStatus.ACCEPTED, cli="version flatten")
def flatten(ports: Ports, image: str, number: Number) -> Job:
    """Make its file complete by itself. Its content stays the same, byte for byte."""
    return versions.flatten(ports, image, number, by=ports.caller.name)
