# SPDX-License-Identifier: MIT
"""Ports over a real database, real disks and real locks in a state folder of the test's own; engine and clock are fakes.

Calling it again with the same folder gives what another process would have.
"""

from __future__ import annotations

from pathlib import Path

from labvirt.checks.driver import GuestTrials
from labvirt.config import StatePaths
from labvirt.contracts.clock import Clock
from labvirt.contracts.engine import EngineLink
from labvirt.contracts.trials import Trials
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.disks.uploads import UploadFolder
from labvirt.network.dhcp.forms import RenderedForms
from labvirt.system.named_locks import NamedLocks
from labvirt.usecases.ports import Limits, Ports
from tests.fakes.clock import FakeClock
from tests.fakes.disks import doors
from tests.fakes.engine import FakeEngineLink


def ports_in(
    state: Path,
    *,
    clock: Clock | None = None,
    engine: EngineLink | None = None,
    trials: Trials | None = None,
    limits: Limits | None = None,
) -> Ports:
    """The caller closes `database`."""
    paths = StatePaths(state)
    for folder in paths.folders():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Ports(
        **doors(state),
        database=SqliteDatabase.open(paths.database, create=True),
        engine=engine or FakeEngineLink(),
        clock=clock or FakeClock(),
        trials=trials or GuestTrials(paths.checks, paths.canaries),
        locks=NamedLocks(paths.locks),
        uploads=UploadFolder(paths.uploads),
        limits=limits or Limits(),
        forms=RenderedForms(),
    )
