# SPDX-License-Identifier: MIT
"""How much there is of everything, for programs that draw curves of it: numbers by lab and state, never by terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from labvirt.contracts.engine import EngineStatus
from labvirt.domain.guest import GuestState
from labvirt.domain.host import HostLoad
from labvirt.domain.job import JobState
from labvirt.errors import LabVirtError
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports

ONLINE_SECONDS = 60
"""A terminal that was heard of within so long is online: kiosks tell of themselves every ten seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Numbers of one moment. `load` and `engine` None: nobody could say."""

    guests: Mapping[tuple[str, GuestState], int]
    """Every state of every lab is there, also with 0: a curve must not end."""
    terminals: Mapping[str, int]
    online: Mapping[str, int]
    strangers: int
    jobs: Mapping[JobState, int]
    """Those that wait and those that are being done."""
    versions: Mapping[str, int]
    """By image."""
    version_bytes: Mapping[str, int]
    entries: int
    """Number of the newest entry of the audit: it only grows."""
    load: HostLoad | None
    engine: EngineStatus | None


def figures(ports: Ports) -> Figures:
    """Raises DatabaseError."""
    now = ports.clock.now()
    with ports.database.read() as work:
        labs = [lab.name for lab in work.labs.list()]
        guests = Counter((guest.lab, guest.state) for guest in work.guests.list())
        terminals = work.terminals.list()
        heard = {beat.terminal for beat in work.heartbeats.list() if _is_young(beat.at, now)}
        versions = {image.name: work.images.versions(image.name) for image in work.images.list()}
        unended = Counter(job.state for job in work.jobs.list(unended=True, last=jobs.ALL))
        strangers = len(work.strangers.list())
        newest = work.audit.last(1)
    return Figures(
        guests={(lab, state): guests[lab, state] for lab in labs for state in GuestState},
        terminals={lab: sum(each.lab == lab for each in terminals) for lab in labs},
        online={lab: sum(each.lab == lab and each.name in heard for each in terminals) for lab in labs},
        strangers=strangers,
        jobs={state: unended[state] for state in (JobState.QUEUED, JobState.RUNNING)},
        versions={image: len(each) for image, each in versions.items()},
        version_bytes={image: sum(version.size_bytes for version in each) for image, each in versions.items()},
        entries=newest[0].number if newest else 0,
        load=_load(ports),
        engine=_engine(ports),
    )


def ready(ports: Ports) -> tuple[tuple[str, ...], bool]:
    """A sentence for each thing that this controller cannot do without, and whether all are there."""
    told, well = [], True
    try:
        with ports.database.read() as work:
            work.facts.get("")
        told.append("The database answers.")
    except LabVirtError:
        told.append("The database does not answer.")  # where it lies is nobody's business here
        well = False
    if _engine(ports) is not None:
        told.append("The engine answers.")
    else:
        told.append("The engine does not answer: desktops that run go on, nothing new is started.")
        well = False
    return tuple(told), well


def _is_young(at: datetime, now: datetime) -> bool:
    return now - at < timedelta(seconds=ONLINE_SECONDS)


def _load(ports: Ports) -> HostLoad | None:
    if ports.machine is None:
        return None
    try:
        return ports.machine.load()
    except (LabVirtError, OSError):
        return None  # a figure less; the rest is still worth having


def _engine(ports: Ports) -> EngineStatus | None:
    try:
        return ports.engine.status()
    except LabVirtError:
        return None
