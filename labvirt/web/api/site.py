# SPDX-License-Identifier: MIT
"""What concerns the whole site: hosts, the engine, overview, audit, what is strange, the kiosk, versions of the programs."""

from __future__ import annotations

import platform
from itertools import islice
from typing import Annotated, Any

from pydantic import Field

from labvirt import __version__, shapes
from labvirt.contracts.engine import EngineStatus
from labvirt.domain.audit import Entry, Outcome, Wanted
from labvirt.domain.findings import Finding
from labvirt.domain.host import Host
from labvirt.domain.kiosk import Kiosk
from labvirt.errors import NotFound
from labvirt.usecases import audit, examination, hosts, inspect, looking
from labvirt.usecases.examination import Examination
from labvirt.usecases.inspect import Overview
from labvirt.usecases.ports import Ports
from labvirt.web.api.images import FINDINGS
from labvirt.web.api.model import Answered, Shape, Text, Told, Whole, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged
from labvirt.web.api.profiles import AS_IT_IS

noun = Noun("site", "What concerns the whole site.")
hosts_noun = Noun("hosts", "The machines that run guests.")

HOST = shape(Host)
AUDIT_MOST = 20_000


class HostChange(Told):
    """Fields of a host. Null forgets one that may be missing."""

    memory_reserve_mib: Whole = 0
    disk_reserve_mib: Whole = 0
    starts_at_once: Whole | None = None
    max_guests: Whole | None = None
    in_service: bool = True
    note: Text = ""


class Wanting(Paged):
    """Which entries of the audit."""

    who: Annotated[str, Field(max_length=200, description="Only by this person, program or terminal.")] = ""
    subject: Annotated[str, Field(max_length=200, description="Only about this guest, terminal, lab ...")] = ""
    lab: Annotated[str, Field(max_length=64, description="Only what belongs to this lab.")] = ""
    verb: Annotated[str, Field(max_length=64, description="Only this deed: add, change, remove, publish, start ...")] = ""
    outcome: Annotated[Outcome | None, Field(description="Only those that ended so.")] = None


class Programs(Answered):
    """Versions."""

    labvirt: str
    python: str
    api: str


EXAMINATION = shape(Examination, lambda each: {"ok": each.ok, **shapes.plain(each)}, name="ExaminationTold", ok=bool)
ENTRIES = Many(shape(Entry), key=lambda each: each.number, newest_first=True)


@hosts_noun.get("/hosts", Many(HOST, key=lambda each: each.name), cli="host list")
def list_(ports: Ports, asked: Paged) -> tuple[Host, ...]:
    """All hosts."""
    return hosts.everything(ports)


@hosts_noun.get("/hosts/{host}", HOST, cli="host show")
def show(ports: Ports, host: str) -> Host:
    """One host."""
    return hosts.one(ports, host)


@hosts_noun.patch("/hosts/{host}", HOST, guarded_by="hosts_show", cli="host set")
def change(ports: Ports, host: str, told: HostChange) -> Host:
    """Change what a host bears; running guests stay."""
    return hosts.change(ports, host, **told.given())


@noun.get("/engine", shape(EngineStatus), cli="host show", tagged=False, needs_engine=True)
def engine(ports: Ports) -> EngineStatus:
    """The engine: driver, accelerator, what waits, what is strange."""
    return looking.engine(ports)


@noun.get("/overview", shape(Overview), cli="overview", tagged=False)
def overview(ports: Ports) -> Overview:
    """All seats as they are now. (Open admin sessions and jobs: /sessions, /jobs.)"""
    return inspect.overview(ports)


@noun.get("/findings", FINDINGS, cli="verify", needs_engine=True)
def verify(ports: Ports, asked: Paged) -> tuple[Finding, ...]:
    """Compare database, processes, TAPs, rules, leases, sockets and overlays; name every stray. Nothing found is well."""
    return looking.verify(ports)


@noun.get("/doctor", EXAMINATION)
def examined(ports: Ports) -> Examination:
    """What the doctor found when it looked last, and when. It does not look anew."""
    found = examination.last(ports)
    if found is None:
        raise NotFound("examination", "last")
    return found


@noun.post("/doctor", EXAMINATION, cli="doctor", needs_engine=True)
def doctor(ports: Ports) -> Examination:
    """Look at the host now: what is missing, and the exact command that mends it. Changes nothing there; takes up to two minutes, and what
    it found is kept."""
    return examination.examine(ports)


@noun.get("/audit", ENTRIES, cli=("audit list", "audit export"))
def entries(ports: Ports, asked: Wanting) -> list[Entry]:
    """Who did what, when and from where, the newest first; only of labs whose audit the caller may read."""
    wanted = Wanted(
        who=asked.who or None, subject=asked.subject or None, lab=asked.lab or None, verb=asked.verb or None, outcome=asked.outcome
    )
    return list(islice(audit.everything(ports, wanted), AUDIT_MOST))


@noun.get("/version", Shape(Programs, AS_IT_IS), cli="version")
def version(ports: Ports) -> dict[str, Any]:
    """Versions of LabVirt, of Python, of this API."""
    return {"labvirt": __version__, "python": platform.python_version(), "api": "1"}


@noun.get("/kiosk", shape(Kiosk), cli="kiosk show")
def kiosk(ports: Ports) -> Kiosk:
    """What terminals boot now: version, files, sizes."""
    found = ports.kiosk.current()
    if found is None:
        raise NotFound("kiosk", "current")
    return found.kiosk
