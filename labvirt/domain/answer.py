# SPDX-License-Identifier: MIT
"""The answer to a terminal's question, as a value (docs/reference/terminal-protocol.md). No secret is ever in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address

from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.domain.lab import Lab, OnLeave
from labvirt.domain.profile import Profile, Protocol
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.domain.terminal_class import TerminalClass
from labvirt.errors import InvalidInput

RDP_PORT = 3389


class Status(StrEnum):
    READY = "ready"
    STARTING = "starting"
    FULL = "full"
    FAILED = "failed"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Is there nothing to wait for (without an ETag)?"""
        return self is not Status.STARTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """What a terminal runs when its guest is ready."""

    protocol: Protocol
    address: IPv4Address
    port: int
    subject: str | None
    program: str
    arguments: tuple[str, ...]
    secret: bool
    on_leave: OnLeave


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer. Field names are those of the protocol page."""

    status: Status
    message: str
    help_code: str | None = None
    terminal: str | None = None
    lab: str | None = None
    seat: int | None = None
    guest: str | None = None
    since: datetime | None = None
    waits_for: str | None = None
    expect_seconds: int | None = None
    retry_seconds: int | None = None
    notice: str | None = None
    enrolment_code: str | None = None
    viewer: Viewer | None = None
    settings: tuple[tuple[str, str], ...] = ()
    """What counts for this terminal (domain/setting.py), key and value."""
    allowed: tuple[str, ...] = ()
    """What its person may do: words of setting.ALLOWED_DEEDS."""
    renew: IPv4Address | None = None
    """It asks from another address than the one that our DHCP has for it now: it should ask DHCP anew."""


def for_stranger(stranger: Stranger) -> Answer:
    return Answer(
        status=Status.UNKNOWN,
        message=f"This terminal is not known yet. Tell your administrator the code {stranger.code}.",
        help_code=f"LV-UNKNOWN-{stranger.code}",
        enrolment_code=stranger.code,
        retry_seconds=10,
    )


def for_terminal(
    *,
    terminal: Terminal,
    lab: Lab,
    terminal_class: TerminalClass,
    guest: Guest | None,
    profile: Profile | None,
    refusal: str = "",
    settings: tuple[tuple[str, str], ...] = (),
    allowed: tuple[str, ...] = (),
    expect_seconds: int | None = None,
    source: IPv4Address | None = None,
) -> Answer:
    """What this terminal hears now. `refusal` is the placement's sentence when no profile can be started; `expect_seconds` is told only
    while the guest starts; `source` is where it asks from."""
    answer = _now(terminal, lab, terminal_class, guest, profile, refusal)
    starting = answer.status is Status.STARTING and answer.help_code is not None and answer.help_code.startswith("LV-START-")
    return replace(
        answer,
        settings=settings,
        allowed=allowed,
        expect_seconds=expect_seconds if starting else None,
        renew=better_address(terminal, lab, source),
    )


def better_address(terminal: Terminal, lab: Lab, source: IPv4Address | None) -> IPv4Address | None:
    """The address that a new lease would give this terminal, if it asks from another one of its lab: it was adopted, or moved to
    another seat, after it got its lease. None where the campus gives the addresses, or nothing is known of its MAC."""
    network = lab.network
    if source is None or terminal.mac is None or lab.foreign_dhcp or terminal.seat > network.capacity:
        return None
    own = network.terminal(terminal.seat)
    return own if source in network.network and source not in (own, network.gateway) else None


def _now(terminal: Terminal, lab: Lab, terminal_class: TerminalClass, guest: Guest | None, profile: Profile | None, refusal: str) -> Answer:
    name = lab.guest_name(terminal.seat)

    def waiting(status: Status, message: str, code: str, *, waits_for: str | None = None, retry_seconds: int = 5) -> Answer:
        return Answer(
            status=status,
            message=message,
            help_code=f"LV-{code}-{terminal.seat:02d}",
            terminal=terminal.name,
            lab=lab.name,
            seat=terminal.seat,
            guest=name,
            since=guest.since if guest else None,
            waits_for=waits_for,
            retry_seconds=retry_seconds,
            notice=guest.notice or None if guest else None,
        )

    if not terminal.active:
        return waiting(Status.INACTIVE, "This terminal is switched off by the administrator.", "INACTIVE", retry_seconds=60)
    if refusal:
        return waiting(Status.FAILED, f"No computer can be started for this seat: {refusal}.", "PROFILE", retry_seconds=30)
    if guest is None or profile is None:
        return waiting(Status.STARTING, "Your computer is being started.", "START", waits_for="the engine", retry_seconds=2)
    if guest.ready:
        try:
            return _ready(terminal, lab, terminal_class, guest, profile)
        except InvalidInput as error:
            return waiting(Status.FAILED, f"This terminal is not set up completely: {error.reason}.", "CLASS", retry_seconds=30)
    if guest.state is GuestState.FAILED:
        return waiting(Status.FAILED, f"Your computer could not be started: {guest.reason}.", "FAILED", retry_seconds=10)
    if guest.state is GuestState.WANTED and guest.reason.startswith("full:"):
        why = guest.reason.removeprefix("full:").strip()
        return waiting(Status.FULL, "All computers are in use. You are in the queue.", "FULL", waits_for=why)
    if guest.state is GuestState.PAUSED:
        return waiting(Status.STARTING, f"Your computer is paused: {guest.reason}.", "PAUSED", waits_for=guest.reason)
    if guest.state is GuestState.SILENT:
        return waiting(Status.FAILED, "Your computer does not answer. Please tell the help desk.", "SILENT", retry_seconds=10)
    if guest.state is GuestState.STOPPED:
        return waiting(Status.INACTIVE, "Your computer is switched off.", "OFF", retry_seconds=10)
    if guest.wish is Wish.STOPPED:
        message = "Your computer is being stopped and can start again after that."
        return waiting(Status.STARTING, message, "STOP", waits_for="its end", retry_seconds=2)
    return waiting(Status.STARTING, "Your computer is being started.", "START", waits_for=guest.reason or "its turn", retry_seconds=2)


def values_of(terminal: Terminal, lab: Lab, profile: Profile) -> dict[str, str]:
    """What LabVirt fills into this terminal's arguments (terminal_class.KNOWN); USER only when the profile has one."""
    identity = lab.identity(terminal.seat)
    address, port, subject = _display(lab, terminal.seat, profile)
    values = {
        "ADDRESS": str(address),
        "PORT": str(port),
        "GUEST": identity.guest,
        "SEAT": str(identity.seat),
        "LAB": lab.name,
        "TERMINAL": terminal.name,
        "SUBJECT": subject or "",
    }
    if profile.user is not None:
        values["USER"] = profile.user
    return values


def _display(lab: Lab, seat: int, profile: Profile) -> tuple[IPv4Address, int, str | None]:
    """Address, port and certificate subject at which this seat's screen is seen."""
    identity = lab.identity(seat)
    if profile.protocol is Protocol.SPICE:
        return lab.network.gateway, identity.display_port, f"CN={identity.guest}"
    return identity.address, RDP_PORT, None


def _ready(terminal: Terminal, lab: Lab, terminal_class: TerminalClass, guest: Guest, profile: Profile) -> Answer:
    address, port, subject = _display(lab, guest.seat, profile)
    return Answer(
        status=Status.READY,
        message=f"{guest.name} is ready.",
        terminal=terminal.name,
        lab=lab.name,
        seat=terminal.seat,
        guest=guest.name,
        since=guest.running_at or guest.since,  # a viewer that comes or goes must not change the answer
        notice=guest.notice or None,
        viewer=Viewer(
            protocol=profile.protocol,
            address=address,
            port=port,
            subject=subject,
            program=terminal_class.program,
            arguments=terminal_class.arguments(values_of(terminal, lab, profile), dict(terminal.parameters)),
            secret=profile.needs_ticket,
            on_leave=lab.on_leave,
        ),
    )
