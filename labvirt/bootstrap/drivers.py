# SPDX-License-Identifier: MIT
"""Which drivers fit together, by settings.hypervisor; and the machine they work on. Disk files are storage.py's."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labvirt.config import Settings, StatePaths
    from labvirt.contracts.authority import Authority
    from labvirt.contracts.database import Database
    from labvirt.contracts.dhcp import DhcpServer, NameLookup
    from labvirt.contracts.hypervisor import Hypervisor
    from labvirt.contracts.network import Network
    from labvirt.domain.host import HostLoad
    from labvirt.engine.readiness import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """One set that fits together."""

    hypervisor: Hypervisor
    network: Network
    dhcp: DhcpServer
    names: NameLookup
    authority: Authority
    probe: Probe


class LocalMachine:
    """Keeps contracts.host.Machine."""

    def __init__(self, runs: Path) -> None:
        self._runs = runs

    def load(self) -> HostLoad:
        from labvirt.domain.host import HostLoad
        from labvirt.system import machine

        read = machine.read_load(self._runs if self._runs.exists() else Path("/"))
        return HostLoad(**{field.name: getattr(read, field.name) for field in fields(HostLoad)})

    def demand_seconds(self, pid: int) -> float | None:
        from labvirt.system import demand

        return demand.seconds(pid)

    def boot_id(self) -> str:
        from labvirt.system import machine

        return machine.boot_id()


def hypervisor_of(settings: Settings, paths: StatePaths, database: Database) -> Hypervisor:
    if settings.hypervisor == "fake":
        from labvirt.hypervisors.fake import FakeHypervisor

        return FakeHypervisor(paths.fake / "hypervisor.json", templates=paths.templates)
    from labvirt.hypervisors.qemu.driver import QemuHypervisor

    direct = QemuHypervisor(
        runs=paths.runs,
        templates=paths.templates,
        choice=settings.accelerator,
        probe_guest=_probe_guest(database, paths),
        probe_cache=probe_cache(),
    )
    if settings.hypervisor == "qemu":
        return direct
    from labvirt.hypervisors.libvirt.driver import LibvirtHypervisor
    from labvirt.usecases.setup import SITE_FACT

    accelerator = direct.capabilities().accelerator  # libvirt's own answer lies where KVM cannot run Linux
    direct.close()
    with database.read() as work:
        owner = work.facts.get(SITE_FACT) or "labvirt"
    return LibvirtHypervisor(settings.libvirt_uri, owner=owner, accelerator=accelerator, templates=paths.templates)


def _probe_guest(database: Database, paths: StatePaths) -> Path | None:
    """A version of the tiny guest whose file is complete by itself, the published one if it is: it says on its serial line that Linux has
    reached userspace."""
    with database.read() as work:
        image = work.images.get("tiny")
        complete = [version for version in work.images.versions("tiny") if version.backing is None] if image else []
    published = image.published if image else None
    version = next((each for each in complete if each.number == published), complete[-1] if complete and published else None)
    return paths.images / version.file if version else None


def drivers_of(settings: Settings, paths: StatePaths, database: Database) -> Drivers:
    from labvirt.engine.readiness import tcp_probe
    from labvirt.network.authority import FileAuthority
    from labvirt.system.clock import SystemClock

    if settings.hypervisor == "fake":
        from labvirt.network.dhcp.fake import FakeDhcp, FakeLookup
        from labvirt.network.fake import FakeNetwork

        dhcp = FakeDhcp(paths.fake / "dhcp.json", SystemClock(), eager=True)
        return Drivers(
            hypervisor=hypervisor_of(settings, paths, database),
            network=FakeNetwork(paths.fake / "network.json"),
            dhcp=dhcp,
            names=FakeLookup(dhcp),
            authority=FileAuthority(paths.secrets),
            probe=frozenset,
        )
    from labvirt.network.dhcp.driver import Dnsmasq
    from labvirt.network.dns.lookup import DnsLookup
    from labvirt.network.driver import LinuxNetwork

    if settings.hypervisor == "libvirt":
        # Its guests open their files by the host's paths, as users of their own: they may walk through, and list nothing.
        for folder in (paths.root, paths.images, paths.runs, paths.kept):
            folder.chmod(0o711)
    return Drivers(
        hypervisor=hypervisor_of(settings, paths, database),
        network=LinuxNetwork(),
        dhcp=Dnsmasq(paths.networks),
        names=DnsLookup(),
        authority=FileAuthority(paths.secrets),
        probe=tcp_probe,
    )


def probe_cache() -> Path:
    """Where the answer to 'does KVM really work here' is kept: it belongs to the machine, not to one state folder."""
    from labvirt.config import cache_folder

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "accelerator.json"
