# SPDX-License-Identifier: MIT
"""What web and command line ask of the engine over its Unix socket: about ten typed verbs. The wishes themselves go
through the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address
from typing import Protocol

from labvirt.domain.addresses import MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.host import HostLoad
from labvirt.domain.image import DiskChoice
from labvirt.domain.lease import Lease
from labvirt.domain.pool import SpareKind
from labvirt.domain.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """Who answers: shown on the first page and by `labvirt host show`."""

    pid: int
    version: str
    driver: str
    accelerator: str
    notice: str
    started_at: datetime
    reconciled_at: datetime | None
    findings: tuple[Finding, ...]
    """Strange things the last reconcile saw and did not touch."""
    queue: tuple[str, ...]
    """Guests that wait for their turn, in order."""
    load: HostLoad | None = None
    """Of the engine's host, read now; None when it cannot be read."""
    starts_at_once: int | None = None
    """So many starts the host bears at once, as far as was found out (domain.bearing); None before the first look."""
    starts_held: str = ""
    """Why not more, as a sentence without a full stop; empty when nobody waits for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayTicket:
    """What a viewer needs. The secret is valid once, for `expires_seconds`; no representation shows it."""

    guest: str
    address: IPv4Address
    port: int
    secret: str = field(repr=False)
    expires_seconds: int
    user: str | None = None
    """RDP: the account inside the guest that has the secret as its password now. None: SPICE."""
    fingerprint: str | None = None
    """RDP: SHA-256 of the certificate (DER) that the guest will show, in hex digits. None where the guest has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """How we know that somebody is there, each sign apart: display events, flow table, the kiosk's word."""

    guest: str
    display: bool
    flow: bool
    peer: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One published change: the guest as it is now, with its presence."""

    guest: Guest
    presence: Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateStatus:
    """A template on this host. `stale`: why no guest starts from it any more (empty: they do). `users`: runs and kept overlays that stand
    on it: it cannot go before they do. Bytes: its files; the memory that is held for all its clones together."""

    template: Template
    disk_bytes: int
    memory_bytes: int
    stale: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateWish:
    """A template that seats would start from if there was one: the profile's guests with or without SPICE's USB."""

    profile: str
    disks: tuple[DiskChoice, ...]
    usb: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateReport:
    """`problem`: why there are no instant clones on this host at all; empty when there can be."""

    kept: tuple[TemplateStatus, ...] = ()
    missing: tuple[TemplateWish, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """A warm pool now. `waiting` is how many spares of each kind there are; `served` how many starts of its seats were served from each
    since the engine began ('ready', 'paused', 'prespawned', 'clone', 'boot'). `holds`: why no more are being made now, as a sentence
    without a full stop; empty when there are as many as there can be, or they are on their way."""

    lab: str
    profile: str
    waiting: tuple[tuple[SpareKind, int], ...] = ()
    served: tuple[tuple[str, int], ...] = ()
    holds: str = ""
    last_refill_seconds: float | None = None
    """From the start of the last spare's making until it waited; None before the first."""


class EngineLink(Protocol):
    """Every operation raises EngineAway when nobody answers, and passes on the engine's own LabVirtError otherwise."""

    def status(self) -> EngineStatus: ...

    def poke(self) -> None:
        """Wishes were written: look at them now. Returns at once."""

    def watch(self) -> Iterator[Change]:
        """First every guest as it is, then each change, until the engine goes away (EngineAway)."""

    def mint_display(self, guest: str, source: IPv4Address) -> DisplayTicket:
        """A new secret for this guest: of its SPICE display, which only `source` may reach then; or, where its profile names the user of
        its RDP, the password of that user inside the guest. Raises GuestNotReady, AgentSilent, Unsupported."""

    def leases(self, lab: str) -> tuple[Lease, ...]:
        """What the lab's DHCP server really gave out, read now. In a lab whose addresses the campus gives (Lab.foreign_dhcp) nobody here
        sees that: then the address that is computed for each terminal with a MAC, for ever; of others nothing."""

    def demand_seconds(self, guest: str) -> float | None:
        """Processor time that the machine of this running guest has had or waited for since it began. None where the host does not tell.
        Raises NotFound, GuestNotReady, DriverError."""

    def screenshot(self, guest: str) -> bytes:
        """The screen as PNG."""

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        """The descriptor of a stream socket to the screen (RFB) or the serial line of this run and of no later one. The caller owns it and
        closes it; it outlives the engine. Raises NotFound, GuestNotReady, Conflict, Unsupported, HypervisorError, DriverTimeout."""

    def reset(self, guest: str) -> None:
        """Press the reset button of a running guest."""

    def command_line(self, guest: str) -> tuple[str, ...]:
        """The exact argv of its current run."""

    def preview(self, profile: str, lab: str, seat: int) -> tuple[str, ...]:
        """The argv with which a guest of this profile would be started on that seat now, with placeholders where only a run knows the
        value. Raises NotFound, Conflict (an image has no version)."""

    def wake(self, lab: str, macs: tuple[MacAddress, ...]) -> None:
        """Magic packets for these network cards went out of the lab's bridge. Raises NotFound (lab), NetworkError, HostNotReady."""

    def in_front(self, guest: str, seconds: int) -> None:
        """Somebody has touched keyboard or mouse of this guest's terminal so many seconds ago, it says: while it waits, it comes first
        (domain.attendance). An unknown guest is no error."""

    def verify(self) -> tuple[Finding, ...]:
        """Compare database, processes, TAPs, rules, leases, sockets and overlays; every stray is one finding."""

    def templates(self) -> TemplateReport:
        """What is kept on this host, and what is missing, now. Raises DatabaseError, DriverError."""

    def pools(self) -> tuple[PoolStatus, ...]:
        """Every warm pool, by lab and profile. Raises DatabaseError."""

    def freeze(self, guest: str, template: str) -> None:
        """This guest (purpose TEMPLATE, running) is the template of that name, whole and on the disk; it is no longer wanted, and its
        machine has ended. After a failure the same, but for the template. Raises GuestNotReady, NotFound, OperationInProgress, Conflict (it
        is no guest that can be frozen), AlreadyExists, Exhausted, DriverError."""

    def remove_template(self, template: str) -> None:
        """It is gone. Raises InUse (somebody stands on it, or starts from it now), Unsupported, DriverError. Absent is fine."""

    def doctor(self) -> tuple[Finding, ...]:
        """All checks of the host as `labvirt doctor` makes them, good ones too, with the engine's rights, made now. Changes nothing."""
