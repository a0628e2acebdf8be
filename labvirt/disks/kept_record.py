# SPDX-License-Identifier: MIT
"""record.json of a kept run: what it was made of, written by us when it ended, beside files that its QEMU may have forged.

So the record says on which other kept run this one may stand, and not the headers: else a machine whose QEMU was taken over could name
another seat's kept overlay, and whoever rescues it would be shown that seat's disk.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks import links
from labvirt.disks.places import Places
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.kept import Kept
from labvirt.errors import ImageDamaged, LabVirtError
from labvirt.system.files import read_bounded

NAME = "record.json"
_LARGEST = 65536
"""Bytes of a record that are believed."""


def render(about: Kept) -> str:
    """The text of the file. Pure."""
    words = {
        "schema": 1,
        "run": str(about.run),
        "profile": about.profile,
        "disks": [[disk.place, disk.image, disk.version] for disk in about.disks],
        "ended_at": about.ended_at.isoformat(),
        "why": about.why,
        "terminal": about.terminal,
        "used_bytes": about.used_bytes,
        "source": str(about.source or ""),
    }
    return json.dumps(words, indent=2) + "\n"


def read(folder: Path, run: RunId) -> Kept:
    """What the record in `folder` says of `run`. Raises ValueError when it cannot be read or is not its record."""
    try:
        found = json.loads(read_bounded(folder / NAME, _LARGEST))
        ended = datetime.fromisoformat(found["ended_at"])
        if found["schema"] != 1 or found["run"] != str(run) or ended.tzinfo is None:
            raise ValueError("not its record")
        source = str(found.get("source", ""))
        return Kept(
            run=run,
            profile=str(found["profile"]),
            disks=tuple(DiskChoice(place=int(place), image=str(image), version=int(version)) for place, image, version in found["disks"]),
            ended_at=ended,
            why=str(found["why"]),
            terminal=str(found["terminal"]),
            used_bytes=int(found["used_bytes"]),
            source=RunId.parse(source) if source else None,
        )
    except (OSError, TypeError, KeyError, AttributeError, RecursionError, LabVirtError) as error:
        raise ValueError(f"no record of {run}") from error


def chain(places: Places, run: RunId, path: Path) -> tuple[DiskLayer, ...]:
    """The kept overlay `path` of `run` and all layers below it, as the headers have them; the kept ones among them belong to the run
    itself or to those that the records say it was continued from. A clone's stands on its template, which holds nobody's work.
    Raises ImageDamaged, DiskError."""
    layers = (DiskLayer(path=path, format="qcow2"), *links.chain_from(places, path, str(run)))
    allowed: RunId | None = run
    for layer in layers[1:]:
        if places.in_store(layer.path) is not None or links.template_of(places, layer.path) is not None:
            continue
        allowed = _source(places, allowed)
        if allowed is None or layer.path.parent != places.kept / str(allowed):
            other = layer.path.parent.name
            raise ImageDamaged(
                f"The overlay of {run} cannot be used: it stands on what {other} had written, and was not continued from it.",
                operation="read the header",
                subject=str(run),
                hint="Whoever had this seat may have forged it. It is kept as it is; look at it by hand: qemu-img info FILE.",
            )
    return layers


def _source(places: Places, run: RunId | None) -> RunId | None:
    try:
        return None if run is None else read(places.kept / str(run), run).source
    except ValueError:
        return None
