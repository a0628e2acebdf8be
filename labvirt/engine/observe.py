# SPDX-License-Identifier: MIT
"""One look at everything: what drivers and database say, as domain values. What could not be read is None, and a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from labvirt.contracts.hypervisor import OVERLAY_CAP_REASON, RunStatus
from labvirt.contracts.network import NetworkState
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Guest, RunId
from labvirt.domain.image import Image
from labvirt.domain.lab import Lab
from labvirt.domain.observed import ObservedRun, RunState
from labvirt.domain.pool import Pool, Spare
from labvirt.domain.profile import Profile
from labvirt.domain.terminal import Terminal
from labvirt.engine.aside import Aside
from labvirt.engine.world import World
from labvirt.errors import LabVirtError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the database says."""

    guests: tuple[Guest, ...]
    labs: tuple[Lab, ...]
    terminals: tuple[Terminal, ...]
    profiles: tuple[Profile, ...]
    images: tuple[Image, ...]
    pools: tuple[Pool, ...] = ()
    spares: tuple[Spare, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reality:
    """What the drivers say. Folders (`written`: bytes in each) and network are looked at in thorough rounds only."""

    runs: tuple[RunStatus, ...] | None
    folders: frozenset[RunId] | None = None
    written: Mapping[RunId, int] = field(default_factory=dict)
    network: NetworkState | None = None
    serving: frozenset[str] | None = None


class Observer:
    """Used by one thread at a time. `trouble` holds what could not be known in the last looks, by code."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hypervisor = Aside("hypervisor")
        self._network = Aside("network")
        self._disks = Aside("disks")
        self._dhcp = Aside("dhcp")
        self.trouble: dict[str, Finding] = {}

    def wishes(self) -> Wishes | None:
        def read() -> Wishes:
            with self._world.database.read() as work:
                return Wishes(
                    guests=work.guests.list(),
                    labs=work.labs.list(),
                    terminals=work.terminals.list(),
                    profiles=work.profiles.list(),
                    images=work.images.list(),
                    pools=work.pools.list(),
                    spares=work.spares.list(),
                )

        return self.attempt("database-unreadable", read, "Running desktops are kept as they are.")

    def reality(self, *, thorough: bool) -> Reality:
        world, seconds = self._world, self._world.settings.observe_seconds
        runs = self.attempt("hypervisor-unknown", lambda: self._hypervisor.call(world.hypervisor.running, seconds))
        if not thorough:
            return Reality(runs=runs)
        folders = self.attempt("disks-unknown", lambda: self._disks.call(world.disks.runs, seconds))
        return Reality(
            runs=runs,
            folders=None if folders is None else frozenset(folder.run for folder in folders),
            written={folder.run: folder.used_bytes for folder in folders or ()},
            network=self.attempt("network-unknown", lambda: self._network.call(world.network.state, seconds)),
            serving=self.attempt("dhcp-unknown", lambda: self._dhcp.call(world.dhcp.serving, seconds)),
        )

    def attempt(self, code: str, question: Callable[[], T], comfort: str = "") -> T | None:
        """The answer, or None and a finding under this code; the finding goes with the next good answer."""
        try:
            answer = question()
        except LabVirtError as error:
            self.trouble[code] = Finding(code=code, severity=Severity.ERROR, sentence=f"{error} {comfort}".strip(), fix=error.hint)
            return None
        self.trouble.pop(code, None)
        return answer


def observed_run(status: RunStatus, *, viewed: bool) -> ObservedRun:
    capped = status.reason == OVERLAY_CAP_REASON
    return ObservedRun(run=status.run, state=RunState(status.state.value), reason=status.reason, viewed=viewed, capped=capped)
