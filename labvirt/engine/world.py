# SPDX-License-Identifier: MIT
"""The doors of the engine, as bootstrap hands them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.authority import Authority
from labvirt.contracts.clock import Clock
from labvirt.contracts.database import Database
from labvirt.contracts.dhcp import DhcpServer, NameLookup
from labvirt.contracts.disks import Disks, Drafts, KeptOverlays
from labvirt.contracts.homes import HomeLogins
from labvirt.contracts.host import Machine
from labvirt.contracts.hypervisor import Hypervisor
from labvirt.contracts.images import ImageStore
from labvirt.contracts.kiosk import BootFolders
from labvirt.contracts.network import Network
from labvirt.domain.host import Host
from labvirt.engine.readiness import Probe, tcp_probe
from labvirt.engine.settings import EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Drivers, settings, and how a guest's port is tried (the fake driver's guests have no network: bootstrap hands in another way)."""

    database: Database
    hypervisor: Hypervisor
    disks: Disks
    store: ImageStore
    drafts: Drafts
    kept: KeptOverlays
    kiosk: BootFolders
    homes: HomeLogins
    network: Network
    dhcp: DhcpServer
    names: NameLookup
    authority: Authority
    machine: Machine
    clock: Clock
    settings: EngineSettings
    version: str = ""
    probe: Probe = tcp_probe
    own_uid: int = 0
    """The engine's user: owner of TAPs when guests run as it."""
    pid: int = 0
    images: Path = Path("/images")
    runs: Path = Path("/runs")
    """Where versions and runs lie, for a command line that is only shown."""

    def host(self) -> Host:
        """This machine's row; one with defaults while there is none. Raises DatabaseError."""
        with self.database.read() as work:
            return work.hosts.get(self.settings.host) or Host(name=self.settings.host)
