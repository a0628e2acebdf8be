# SPDX-License-Identifier: MIT
"""A template: a booted, frozen guest from which instant clones start. What it was made from, and when it cannot serve any more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from labvirt.domain.image import DiskChoice
from labvirt.errors import InvalidInput

_NAME = re.compile(r"([a-z0-9][a-z0-9-]{0,50})\.t([1-9][0-9]{0,8})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class TemplateName:
    """The name of a template and of its folder ('desktop.t3'). A number is never used twice: clones and kept overlays name it."""

    profile: str
    number: int

    def __post_init__(self) -> None:
        if not _NAME.match(str(self)):
            raise InvalidInput("template", "is not the name of a template", hint="It looks like desktop.t3")

    @classmethod
    def parse(cls, text: str) -> TemplateName:
        match = _NAME.match(text)
        if not match:
            raise InvalidInput("template", "is not the name of a template", hint="It looks like desktop.t3")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.profile}.t{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a template stands on and cannot leave: device state is read only by what wrote it."""

    hypervisor: str
    """Driver and version: 'qemu 7.2.22'."""
    accelerator: str
    processor: str = ""
    """The processor and kernel of the host where the guest sees of them (kvm); else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeFrom:
    """Two guests of the same MadeFrom could be the same guest, but for who they are."""

    disks: tuple[DiskChoice, ...]
    machine: str
    """Digest of everything that decides the devices, in their order (contracts.templates.Templates.machine)."""
    ground: Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    name: TemplateName
    made_from: MadeFrom
    made_at: datetime


def stale_because(template: Template, wanted: MadeFrom) -> str:
    """Why guests that are made from `wanted` cannot start from this template; empty when they can. A sentence without a full stop."""
    made = template.made_from
    if made.ground.hypervisor != wanted.ground.hypervisor:
        return f"it was made by {made.ground.hypervisor}, and this host has {wanted.ground.hypervisor} now"
    if made.ground.accelerator != wanted.ground.accelerator:
        return f"it was made with {made.ground.accelerator}, and guests run with {wanted.ground.accelerator} now"
    if made.ground.processor != wanted.ground.processor:
        return "it was made on another processor"
    if made.disks != wanted.disks:
        old, new = _versions(made.disks), _versions(wanted.disks)
        return f"it was made of {old}, and {new} is wanted"
    if made.machine != wanted.machine:
        return "the machine of its profile has changed since it was made"
    return ""


def _versions(disks: tuple[DiskChoice, ...]) -> str:
    return ", ".join(f"{disk.image}:{disk.version}" for disk in disks) or "no disk"
