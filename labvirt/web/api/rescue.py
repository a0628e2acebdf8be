# SPDX-License-Identifier: MIT
"""/rescue and /garbage: what guests had written when their run ended, and what nobody needs any more."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.contracts.offline import OfflineEntry
from labvirt.domain.guest import Guest
from labvirt.domain.job import Job
from labvirt.domain.kept import Kept
from labvirt.domain.rubbish import Rubbish
from labvirt.usecases import garbage, rescue
from labvirt.usecases.ports import Ports
from labvirt.usecases.rescue import KeptView
from labvirt.web.api.guests import GUEST
from labvirt.web.api.jobs import JOB
from labvirt.web.api.model import shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("rescue", "What guests had written when their run ended: kept for a while.")
garbage_noun = Noun("garbage", "What nobody needs any more.")

KEPT = shape(Kept, shapes.kept, name="KeptTold", goes_at=str, guest=str | None)


class Wanted(Paged):
    """Whose."""

    guest: Annotated[str, Field(max_length=64, description="Only of this guest or terminal.")] = ""


class Inside(Paged):
    """Where in which disk."""

    path: Annotated[str, Field(max_length=4096, description="Like 1/home/student; nothing: the partitions.")] = ""
    disk: Annotated[int | None, Field(ge=0, le=63, description="Which of its disks; nothing: the first.")] = None


@noun.get(
    "/rescue",
    Many(KEPT, key=lambda each: str(each.run), newest_first=True, sorts={"ended_at": lambda each: str(each.kept.ended_at)}),
    cli="rescue list",
)
def list_(ports: Ports, asked: Wanted) -> tuple[KeptView, ...]:
    """Kept overlays."""
    return rescue.everything(ports, guest=asked.guest or None)


@noun.post("/rescue/{run}/start", GUEST, cli="rescue start")
def start(ports: Ports, run: str) -> Guest:
    """Start it once more. On a special number of its lab and a new overlay: what is kept stays as it is."""
    return rescue.start(ports, run, by=ports.caller.name)


@noun.get("/rescue/{run}/files", Many(shape(OfflineEntry), key=lambda each: each.path), cli="rescue files")
def files(ports: Ports, run: str, asked: Inside) -> tuple[OfflineEntry, ...]:
    """List files of its disk. Nothing is started or mounted."""
    return rescue.files(ports, run, asked.path, place=asked.disk)


@noun.delete("/rescue/{run}", shape(Kept), cli="rescue forget")
def forget(ports: Ports, run: str) -> Kept:
    """Remove it now. There is no way back."""
    return rescue.forget(ports, run, by=ports.caller.name)


@garbage_noun.get("/garbage", Many(shape(Rubbish), key=lambda each: (str(each.kind), each.name)), cli="image gc")
def plan(ports: Ports, asked: Paged) -> tuple[Rubbish, ...]:
    """What would go, when, and what it waits for."""
    return garbage.plan(ports)


@garbage_noun.post("/garbage", JOB, status=HTTPStatus.ACCEPTED, cli="image gc")
def collect(ports: Ports) -> Job:
    """Empty the recycle bin of what was in it long enough."""
    return garbage.collect(ports, by=ports.caller.name)
