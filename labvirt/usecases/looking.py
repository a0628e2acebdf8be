# SPDX-License-Identifier: MIT
"""What only the engine or a file can show: a guest's screen, what a canary saw, the engine's own state, what verify finds."""

from __future__ import annotations

from labvirt.contracts.engine import EngineStatus
from labvirt.domain.findings import Finding
from labvirt.domain.right import Right
from labvirt.errors import NotAllowed, NotFound
from labvirt.usecases import catalogue, power
from labvirt.usecases.ports import Ports


def screen(ports: Ports, guest: str) -> bytes:
    """A PNG. Raises NotFound, NotAllowed, GuestNotReady, EngineAway."""
    found = power.one(ports, guest)
    _need(ports, Right.WATCH, found.lab)
    return ports.engine.screenshot(found.name)


def canary_picture(ports: Ports, image: str, number: int) -> bytes:
    """A PNG of the last trial of this version. Raises NotFound."""
    found = catalogue.version(ports, image, number)
    _need(ports, Right.UPDATE, None)
    if found.canary is None or not found.canary.picture:
        raise NotFound("picture", found.version.label)
    return ports.trials.picture(found.canary.picture)


def engine(ports: Ports) -> EngineStatus:
    """How the engine is. Raises EngineAway."""
    _need(ports, Right.SITE, None)
    return ports.engine.status()


def verify(ports: Ports) -> tuple[Finding, ...]:
    """Every stray process, TAP, rule, lease, socket and overlay. Raises EngineAway."""
    _need(ports, Right.SITE, None)
    return ports.engine.verify()


def _need(ports: Ports, right: Right, lab: str | None) -> None:
    if not ports.caller.may(right, lab):
        raise NotAllowed(f"You may not do this: it needs the right {right}.", hint="An administrator of the site gives rights.")
