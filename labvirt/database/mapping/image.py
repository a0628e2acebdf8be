# SPDX-License-Identifier: MIT
"""Images, their versions, and what a canary found about one."""

from __future__ import annotations

import json
from pathlib import PurePosixPath

from labvirt.database.mapping.row import Row, kept, maybe_text, maybe_time, time_of, time_text, words_of, words_text
from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.image import Image, Stage, Version


def image_row(image: Image) -> Row:
    return {
        "name": image.name,
        "published": image.published,
        "previous": image.previous,
        "note": image.note,
        "binned_at": maybe_text(image.binned_at),
    }


@kept
def image_of(row: Row) -> Image:
    return Image(
        name=row["name"],
        published=row["published"],
        previous=row["previous"],
        note=row["note"],
        binned_at=maybe_time(row["binned_at"]),
    )


def version_row(version: Version) -> Row:
    return {
        "image": version.image,
        "number": version.number,
        "file": str(version.file),
        "format": version.format,
        "size_bytes": version.size_bytes,
        "virtual_bytes": version.virtual_bytes,
        "sha256": version.sha256,
        "stage": str(version.stage),
        "made_at": time_text(version.made_at),
        "parent": version.parent,
        "note": version.note,
        "author": version.author,
        "backing": version.backing,
        "companions": words_text(version.companions),
        "binned_at": maybe_text(version.binned_at),
    }


def version_of(row: Row) -> Version:
    return Version(
        image=row["image"],
        number=row["number"],
        file=PurePosixPath(row["file"]),
        format=row["format"],
        size_bytes=row["size_bytes"],
        virtual_bytes=row["virtual_bytes"],
        sha256=row["sha256"],
        stage=Stage(row["stage"]),
        made_at=time_of(row["made_at"]),
        parent=row["parent"],
        note=row["note"],
        author=row["author"],
        backing=row["backing"],
        companions=words_of(row["companions"]),
        binned_at=maybe_time(row["binned_at"]),
    )


def canary_row(canary: Canary) -> Row:
    steps = [{"name": step.name, "ok": step.ok, "said": step.said, "seconds": step.seconds} for step in canary.steps]
    return {
        "image": canary.image,
        "version": canary.version,
        "profile": canary.profile,
        "at": time_text(canary.at),
        "seconds": canary.seconds,
        "steps": json.dumps(steps, ensure_ascii=False),
        "picture": canary.picture,
        "log": canary.log,
    }


def canary_of(row: Row) -> Canary:
    return Canary(
        image=row["image"],
        version=row["version"],
        profile=row["profile"],
        at=time_of(row["at"]),
        seconds=row["seconds"],
        steps=tuple(
            CanaryStep(name=str(step["name"]), ok=bool(step["ok"]), said=str(step["said"]), seconds=float(step["seconds"]))
            for step in json.loads(row["steps"])
        ),
        picture=row["picture"],
        log=row["log"],
    )
