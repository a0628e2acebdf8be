# SPDX-License-Identifier: MIT
"""What the command line does beside the controller: the demo, the doctor's round, the tiny guest."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt.bootstrap.drivers import LocalMachine, hypervisor_of, probe_cache
from labvirt.bootstrap.opening import open_database, paths_of, settings_of
from labvirt.bootstrap.storage import store_of
from labvirt.cli.app import DemoWish
from labvirt.domain.findings import Finding
from labvirt.errors import DatabaseError, HostNotReady

if TYPE_CHECKING:
    from labvirt.contracts.database import Database
    from labvirt.contracts.hypervisor import Hypervisor
    from labvirt.contracts.images import ImageStore


def demo(wish: DemoWish) -> int:
    """A lab on this machine, judged or shown; see labvirt/demo."""
    from labvirt.demo.main import run
    from labvirt.demo.options import DemoOptions

    return run(
        DemoOptions(
            terminals=wish.terminals,
            check=wish.check,
            json_path=wish.json_path,
            pictures=wish.pictures,
            hypervisor=wish.hypervisor,
            deadline_seconds=wish.deadline_seconds,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """What the engine has open already, so that the doctor does not open it once more."""

    driver: Hypervisor
    database: Database
    store: ImageStore


def doctor(state: Path, within: Open | None = None) -> tuple[Finding, ...]:
    """Findings about this host and state folder; changes nothing. `within`: in the engine's process."""
    from labvirt.doctor.checks import run
    from labvirt.doctor.storage import DiskFolders

    settings, paths = settings_of(state), paths_of(state)

    def driver() -> Hypervisor:
        try:
            return hypervisor_of(settings, paths, open_database(state))
        except (HostNotReady, DatabaseError):
            from labvirt.hypervisors.qemu.driver import QemuHypervisor

            return QemuHypervisor(runs=paths.runs, choice=settings.accelerator, probe_cache=probe_cache())

    return run(
        hypervisor=settings.hypervisor,
        state=state,
        folders=DiskFolders(
            images=paths.images, drafts=paths.drafts, runs=paths.runs, kept=paths.kept, budget_mib=settings.rescue_budget_mib
        ),
        machine=LocalMachine(paths.runs),
        driver=driver if within is None else lambda: within.driver,
        database=lambda: open_database(state) if within is None else within.database,
        store=lambda: store_of(settings, paths) if within is None else within.store,
    )


def build_tiny() -> Path:
    """The tiny guest's disk, built by its recipe or reused. Raises HostNotReady with the recipe's last words."""
    import json

    from labvirt.config import share_folder
    from labvirt.system.process import run

    result = run([sys.executable, "-I", str(share_folder("images") / "tiny" / "build.py"), "--json"], timeout=1800)
    if not result.ok:
        raise HostNotReady(f"The tiny guest could not be built: {result.last_words}", hint="labvirt doctor")
    return Path(str(json.loads(result.stdout)["path"]))
