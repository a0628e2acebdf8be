# SPDX-License-Identifier: MIT
"""A guest that was booted for it becomes a template: its wish ends first, then its machine, and what it was is kept."""

from __future__ import annotations

import logging

from labvirt.contracts.database import Database
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.template import TemplateName
from labvirt.engine.operations import Operations
from labvirt.engine.rows import Rows
from labvirt.engine.templates import HostTemplates
from labvirt.errors import Conflict, GuestNotReady, LabVirtError, NotFound

log = logging.getLogger(__name__)


def freeze(database: Database, rows: Rows, operations: Operations, templates: HostTemplates, guest: str, name: TemplateName) -> None:
    """See contracts.engine: freeze. Whatever happens, the guest is not wanted afterwards, and the engine ends what is left of its run."""
    door = templates.door()
    with operations.one(guest, "it is being frozen"):
        row = _frozen_one(database, guest)
        assert row.run is not None
        # Before the act: a machine that ends while it is wanted would be started again.
        after = rows.change(guest, row.generation, lambda each: each.unwanted(StopHow.STOP), f"{row.run} is being frozen as {name}")
        if after is None:
            raise Conflict(f"The wish of {guest} has changed.", hint="The job does it again.")
        try:
            door.freeze(row.run, name, row.disks)
        finally:
            templates.forget()
        try:
            rows.move(guest, after.generation, GuestState.STOPPED, "")
        except LabVirtError as error:  # the next round sees that it is off
            log.info("%s: %s", guest, error)


def _frozen_one(database: Database, guest: str) -> Guest:
    with database.read() as work:
        row = work.guests.get(guest)
    if row is None:
        raise NotFound("guest", guest)
    if row.purpose is not Purpose.TEMPLATE:
        raise Conflict(f"{guest} is somebody's: it is not frozen.", hint="A template is made by a job: labvirt template build PROFILE")
    if not row.alive or row.run is None or row.wish is not Wish.RUNNING:
        raise GuestNotReady(guest, str(row.state))
    return row
