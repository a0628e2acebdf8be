# SPDX-License-Identifier: MIT
"""What goes on beside the seats: open admin sessions with their reminders, and jobs. Part of `overview` and `host show`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from labvirt import shapes
from labvirt.cli import bar
from labvirt.cli.amounts import duration, moment
from labvirt.domain.draft import DraftState
from labvirt.domain.job import Job
from labvirt.usecases import jobs, sessions
from labvirt.usecases.ports import Ports
from labvirt.usecases.sessions import SessionView

Sessions = tuple[SessionView, ...]
Jobs = tuple[Job, ...]


def under_way(ports: Ports) -> tuple[Sessions, Jobs]:
    """Sessions that are open or being published, and jobs that have not ended."""
    drafts = sessions.everything(ports)
    return tuple(each for each in drafts if each.draft.state is not DraftState.KEPT), jobs.everything(ports, unended=True)


def under_way_shape(drafts: Sessions, going_on: Jobs, now: datetime) -> dict[str, Any]:
    return {"sessions": [shapes.session(each) for each in drafts], "jobs": [shapes.job(each, now) for each in going_on]}


def under_way_lines(drafts: Sessions, going_on: Jobs) -> list[str]:
    return [
        *map(_session, drafts),
        *(f"job {each.number}: {each.kind} {each.subject} of {each.asked_by}, {bar.step(each)}" for each in going_on),
    ]


def _session(each: SessionView) -> str:
    draft = each.draft
    guest = f", guest {each.guest.name} {each.guest.state}" if each.guest else ""
    idle = f", idle for {duration(each.idle_minutes * 60)}: publish, keep or discard it" if each.idle_minutes else ""
    return f"session {draft.name}: {draft.state}, of {draft.owner} since {moment(draft.since)}{guest}{idle}"
