# SPDX-License-Identifier: MIT
"""What only the engine or a file can show: a guest's screen, what a canary saw, the engine's own state, what verify finds."""

from __future__ import annotations

from labvirt.contracts.engine import EngineStatus
from labvirt.domain.findings import Finding
from labvirt.domain.right import Right
from labvirt.errors import NotFound
from labvirt.usecases import catalogue, power
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@needs(Right.WATCH, guest="guest")
def screen(ports: Ports, guest: str) -> bytes:
    """A PNG. Raises NotFound, NotAllowed, GuestNotReady, EngineAway."""
    return ports.engine.screenshot(power.one(ports, guest).name)


@needs(Right.UPDATE, image="image")
def canary_picture(ports: Ports, image: str, number: int) -> bytes:
    """A PNG of the last trial of this version. Raises NotFound, NotAllowed."""
    found = catalogue.version(ports, image, number)
    if found.canary is None or not found.canary.picture:
        raise NotFound("picture", found.version.label)
    return ports.trials.picture(found.canary.picture)


@needs(Right.SITE, site=True)
def engine(ports: Ports) -> EngineStatus:
    """How the engine is. Raises NotAllowed, EngineAway."""
    return ports.engine.status()


@needs(Right.SITE, site=True)
def verify(ports: Ports) -> tuple[Finding, ...]:
    """Every stray process, TAP, rule, lease, socket and overlay. Raises NotAllowed, EngineAway."""
    return ports.engine.verify()
