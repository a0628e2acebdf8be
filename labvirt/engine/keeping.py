# SPDX-License-Identifier: MIT
"""What guests have written, kept for a while after their runs (contracts.disks.KeptOverlays). When it goes for its age or the budget is
decided by garbage collection; here it goes only when the disk is so low that guests would stand still.
"""

from __future__ import annotations

import logging

from labvirt.domain.guest import Guest, GuestState, Purpose, RunId, Wish
from labvirt.domain.kept import Kept
from labvirt.domain.remains import ended_how, keeps
from labvirt.engine.world import World
from labvirt.errors import InUse, LabVirtError
from labvirt.usecases.rubbish import user_of_kept

log = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0
"""When nothing could be dropped although the disk is low."""


class Keeping:
    """Each operation runs on a worker's thread, as the guest's only operation."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._again_at = float("-inf")

    def keep(self, row: Guest, run: RunId, why: str) -> None:
        """The folder of this ended run is gone, and what was written is kept. The caller has made sure that it does not live.
        Raises DiskError."""
        about = Kept(
            run=run,
            profile=row.profile or "",
            disks=row.disks if run == row.run else (),  # of an older run the row knows them no more: the headers do
            ended_at=self._world.clock.now(),
            why=why,
            terminal=row.terminal or "",
            source=RunId.parse(row.source) if row.purpose is Purpose.RESCUE and row.source else None,
        )
        kept = self._world.kept.keep(run, about)
        if kept is None:
            self._world.disks.remove_run(run)
        else:
            log.info("%s: %d bytes that it had written are kept", run, kept.used_bytes)

    def before_start(self, name: str, generation: int) -> None:
        """What the run before this start has written is kept while its row still says what that run was made of; the folder of an admin
        session's dead run is gone, so that its draft can be written again. A failure is logged and stops nobody: the folder stays, and is
        kept or removed later. Raises DatabaseError."""
        world = self._world
        with world.database.read() as work:
            row = work.guests.get(name)
        if row is None or row.run is None or row.generation != generation or row.wish is not Wish.RUNNING:
            return
        wanted = world.settings.keep_overlays and keeps(row)
        if not wanted and row.purpose is not Purpose.ADMIN:
            return
        if row.state not in (GuestState.WANTED, GuestState.STARTING):
            return
        try:
            if world.disks.open_run(row.run) is None or lives(world, row.run):
                return
            if wanted:
                self.keep(row, row.run, ended_how(row, row.run))
            else:
                world.disks.remove_run(row.run)
        except LabVirtError as error:
            log.warning("%s: what it had written could not be %s: %s", row.run, "kept" if wanted else "put back", error)

    def crowded(self) -> bool:
        """Is the disk so low that something kept should go now?"""
        world = self._world
        if not world.settings.keep_overlays or world.clock.monotonic() < self._again_at:
            return False
        return world.disks.free_mib() < world.host().disk_reserve_mib

    def make_room(self) -> None:
        """The oldest kept overlays are gone, one by one, until the host has its reserve again or none is left that nobody needs. Raises
        DiskError, DatabaseError."""
        world = self._world
        reserve = world.host().disk_reserve_mib
        for kept in sorted(world.kept.list(), key=lambda each: (each.ended_at, each.run)):
            if world.disks.free_mib() >= reserve:
                return
            with world.database.write() as work:  # held until it is gone: nobody starts from it meanwhile
                if user := user_of_kept(work, str(kept.run)):
                    log.info("%s stays kept: %s needs it", kept.run, user)
                    continue
                try:
                    world.kept.remove(kept.run)
                except InUse as error:
                    log.info("%s", error)
                    continue
            log.warning("%s: what it had written is kept no longer: the disk is low", kept.run)
        if world.disks.free_mib() < reserve:
            self._again_at = world.clock.monotonic() + AGAIN_SECONDS


def lives(world: World, run: RunId) -> bool:
    """Does the hypervisor know it? Raises DriverError when that cannot be said."""
    return any(status.run == run for status in world.hypervisor.running())
