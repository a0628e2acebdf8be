# SPDX-License-Identifier: MIT
"""A state folder out of a backup: for the command line, before there is any site to open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labvirt.bootstrap.opening import open_database, paths_of, ports, settings_of
from labvirt.domain.caller import Caller, CallerKind

if TYPE_CHECKING:
    from labvirt.contracts.archive import BackupFacts


def restore(file: Path, into: Path, who: str) -> BackupFacts:
    """See archive/restoring.py. The database is migrated to this version, and the audit says who restored it from what. Raises
    DatabaseError too (it is of a newer LabVirt)."""
    from labvirt.archive import restoring
    from labvirt.system import files

    def finish(stage: Path, facts: BackupFacts) -> None:
        for folder in paths_of(stage).folders():
            files.private_folder(folder)
        settings_of(stage)  # a setting that this version does not know is said now
        open_database(stage).close()
        with ports(stage) as doors:
            by = doors.on_behalf_of(Caller(kind=CallerKind.MACHINE, name=who))
            with by.database.write() as work:
                by.note(work, "controller", f"restored from the backup of {facts.made_at:%F %T}", verb="restore", noun="site")
                work.commit()

    return restoring.restore(file, into, finish)
