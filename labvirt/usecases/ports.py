# SPDX-License-Identifier: MIT
"""The doors a use case goes through, as one frozen value that bootstrap fills."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from labvirt.contracts.archive import Archives
from labvirt.contracts.clock import Clock
from labvirt.contracts.database import Database, UnitOfWork
from labvirt.contracts.dhcp import DhcpForms
from labvirt.contracts.disks import Disks, Drafts, KeptOverlays
from labvirt.contracts.engine import EngineLink
from labvirt.contracts.host import Machine
from labvirt.contracts.images import ImageStore
from labvirt.contracts.kiosk import BootFolders
from labvirt.contracts.locks import Locks
from labvirt.contracts.offline import OfflineFiles
from labvirt.contracts.trials import Trials
from labvirt.contracts.uploads import Uploads
from labvirt.domain.addresses import DEFAULT_MAC_PREFIX
from labvirt.domain.audit import Entry, Fields, Outcome
from labvirt.domain.caller import MACHINE, Caller
from labvirt.errors import LabVirtError
from labvirt.usecases.attempts import Attempts
from labvirt.usecases.beats import Beats
from labvirt.usecases.console_tickets import ConsoleTickets
from labvirt.usecases.floods import Floods
from labvirt.usecases.leased import Leased
from labvirt.usecases.pace import Pace
from labvirt.usecases.pokes import Pokes
from labvirt.usecases.start_times import StartTimes
from labvirt.usecases.witness import Witness

log = logging.getLogger(__name__)

_NOTHING: Fields = {}

DEEDS, DEEDS_SECONDS = 3, 120.0
"""So often in so many seconds may somebody at a terminal restart the guest: a child that plays with the button stops a fresh start each
40 s at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that use cases need; config.py describes each."""

    canary_seconds: int = 180
    template_seconds: int = 600
    template_settle_seconds: float = 10
    layers: int = 4
    bin_days: float = 7
    orphan_hours: float = 24
    scrub_days: float = 7
    rescue_hours: float = 24
    rescue_budget_mib: int = 20480
    idle_minutes: int = 30
    audit_days: float = 365
    metrics_from: tuple[str, ...] = ()
    largest_disk_gib: int = 2048
    controller_port: int = 8080
    guest_uid_base: int | None = None
    mac_prefix: int = DEFAULT_MAC_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """One per process, and one per request on behalf of its `caller`. `tickets`, `deeds`, `pokes`, `beats`, `leased`, `starts`, `witness`,
    `attempts`, `consoles`, `floods`: this process's memory of what was asked of it and told to it: a restart forgets, which harms
    nobody.
    """

    database: Database
    engine: EngineLink
    clock: Clock
    disks: Disks
    store: ImageStore
    drafts: Drafts
    kept: KeptOverlays
    kiosk: BootFolders
    offline: OfflineFiles
    trials: Trials
    locks: Locks
    uploads: Uploads | None = None
    machine: Machine | None = None
    archives: Archives | None = None
    version: str = ""
    """LabVirt's own."""
    limits: Limits = field(default_factory=lambda: Limits())
    forms: DhcpForms | None = None
    tickets: Pace = field(default_factory=Pace)
    pokes: Pokes = field(default_factory=Pokes)
    beats: Beats = field(default_factory=Beats)
    leased: Leased = field(default_factory=Leased)
    starts: StartTimes = field(default_factory=StartTimes)
    deeds: Pace = field(default_factory=lambda: Pace(DEEDS, DEEDS_SECONDS))
    witness: Witness = field(default_factory=Witness)
    consoles: ConsoleTickets = field(default_factory=ConsoleTickets)
    floods: Floods = field(default_factory=Floods)
    attempts: Attempts = field(default_factory=Attempts)
    caller: Caller = MACHINE
    """On whose behalf: what may be done is decided by it (usecases/rights.py), what was done is written with it."""

    def on_behalf_of(self, caller: Caller) -> Ports:
        """The same doors and the same memory, for somebody else."""
        return replace(self, caller=caller)

    def note(
        self,
        work: UnitOfWork,
        subject: str,
        what: str,
        *,
        verb: str = "note",
        noun: str = "",
        lab: str | None = None,
        before: Fields = _NOTHING,
        after: Fields = _NOTHING,
        outcome: Outcome = Outcome.DONE,
        by: Caller | None = None,
    ) -> None:
        """One entry of the audit in this unit of work, on behalf of the caller (`by`: of somebody else, whom this use case knows better).

        `what` is the sentence after the subject's name; `before` and `after` are what has changed (domain/audit.py makes them, and keeps
        secrets out)."""
        who = by or self.caller
        work.audit.add(
            Entry(
                at=self.clock.now(),
                who=who.name,
                kind=who.kind,
                address=who.address,
                verb=verb,
                noun=noun,
                subject=subject,
                what=what,
                lab=lab,
                before=before,
                after=after,
                outcome=outcome,
            )
        )

    def poke(self) -> None:
        """The engine hears that wishes were written, at the latest by the poke that somebody else is about to send. An
        engine that is away finds them when it comes back.
        """
        try:
            self.pokes.send(self.engine.poke)
        except LabVirtError as error:
            log.info("the engine was not poked: %s", error)
