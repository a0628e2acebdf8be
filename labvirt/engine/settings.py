# SPDX-License-Identifier: MIT
"""The numbers the engine is given. Where they come from (file, environment) is not known here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Seconds unless the name says otherwise. `guest_uid_base` None: guests run as the engine's own user."""

    host: str = "local"
    """Name of the row in the hosts table that this machine is."""
    starts_at_once: int | None = None
    reconcile_seconds: float = 5.0
    start_timeout_seconds: float = 120.0
    start_attempts: int = 4
    ticket_seconds: int = 30
    controller_port: int = 8080
    guest_uid_base: int | None = None
    observe_seconds: float = 15.0
    """The loop goes on without the hypervisor's answer after this."""
    settle_seconds: float = 20.0
    """A guest that boots keeps its place among the starts for at most so long (0: not at all)."""
    young_seconds: float = 30.0
    """So long after its start a guest's memory counts as promised in full."""
    flow_seconds: float = 5.0
    revoke_seconds: float = 3.0
    """After a viewer has connected, its secret ends this much later: SPICE opens its other channels with the same one."""
    drain_seconds: float = 20.0
    """Operations that are going on when the engine is told to stop may take so long to end."""
    workers: int = 16
    jobs_at_once: int = 4
    chore_seconds: float = 60.0
    """How often it is looked whether a chore (garbage collection, scrubbing, flattening, reminders) is due."""
    keep_overlays: bool = False
    """What guests have written is kept for a while after their runs."""
