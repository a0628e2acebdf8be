# SPDX-License-Identifier: MIT
"""/sessions: admin sessions and their drafts: update, publish, keep, discard. {draft} is a draft (tiny.d5), or the image that has only
one."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.contracts.images import SealMethod
from labvirt.domain.draft import Draft
from labvirt.domain.job import Job
from labvirt.errors import InvalidInput
from labvirt.usecases import sessions
from labvirt.usecases.ports import Ports
from labvirt.usecases.sessions import SessionView
from labvirt.web.api.images import DRAFT
from labvirt.web.api.jobs import JOB
from labvirt.web.api.model import Name, Text, Told, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("sessions", "Admin sessions: a guest that writes a draft, never what is published.")

SESSION = shape(
    Draft,
    shapes.session,
    name="Session",
    alive=bool,
    published=int | None,
    overtaken=bool,
    guest_state=str | None,
    idle_minutes=int,
    used_bytes=int,
    vnc=str | None,
    spice=str | None,
)

DraftName = Annotated[str, Field(max_length=64)]


class Opening(Told):
    """Which profile's guest starts on a fresh draft of its image, or (`draft`) on a kept one."""

    profile: Name | None = None
    lab: Annotated[Name | None, Field(description="Where its guest stands; null: the only lab the profile fits.")] = None
    image: Annotated[Name | None, Field(description="Which of the profile's disks is changed; null: the first.")] = None
    draft: Annotated[DraftName | None, Field(description="Go on with this kept draft.")] = None


class SessionPublishing(Told):
    """How the draft becomes the next version."""

    note: Text = ""
    override: Annotated[Text, Field(description="Although the canary is red: the reason stays in the history.")] = ""
    replace: Annotated[bool, Field(description="Although somebody else published since the session began.")] = False
    method: Annotated[SealMethod | None, Field(description="How it becomes a file; null: what costs least here.")] = None


class Wanted(Paged):
    """Which drafts."""

    binned: Annotated[bool, Field(description="Also discarded drafts, which can be restored.")] = False


@noun.get(
    "/sessions",
    Many(SESSION, key=lambda each: each.draft.name, sorts={"touched_at": lambda each: str(each.draft.touched_at)}),
    cli="admin list",
)
def list_(ports: Ports, asked: Wanted) -> tuple[SessionView, ...]:
    """Open sessions and kept drafts."""
    return sessions.everything(ports, binned=asked.binned)


@noun.get("/sessions/{draft}", SESSION, cli="admin show", tagged=False)
def show(ports: Ports, draft: str) -> SessionView:
    """One session or draft: its guest, its screen, what was written."""
    return sessions.one(ports, draft)


@noun.post("/sessions", JOB, status=HTTPStatus.ACCEPTED, cli="admin start")
def start(ports: Ports, told: Opening) -> Job:
    """Open a session."""
    profile = told.profile
    if profile is None:
        if told.draft is None:
            raise InvalidInput("profile", "is needed", hint="Or `draft`, to go on with one.")
        profile = sessions.one(ports, told.draft).draft.profile
    return sessions.start(ports, profile, by=ports.caller.name, lab=told.lab, image=told.image, draft=told.draft)


@noun.post("/sessions/{draft}/publish", JOB, status=HTTPStatus.ACCEPTED, cli="admin publish")
def publish(ports: Ports, draft: str, told: SessionPublishing) -> Job:
    """Shut down, seal, try, publish: the draft becomes the next version if its canary is green."""
    return sessions.publish(
        ports, draft, by=ports.caller.name, note=told.note, override=told.override, replace=told.replace, method=told.method
    )


@noun.post("/sessions/{draft}/keep", DRAFT, cli="admin keep")
def keep(ports: Ports, draft: str) -> Draft:
    """End the session and keep its draft. Its guest is shut down, and clients may start again."""
    return sessions.keep(ports, draft, by=ports.caller.name)


@noun.post("/sessions/{draft}/discard", DRAFT, cli="admin discard")
def discard(ports: Ports, draft: str) -> Draft:
    """Give the changes up: the draft goes into the recycle bin."""
    return sessions.discard(ports, draft, by=ports.caller.name)


@noun.post("/sessions/{draft}/restore", DRAFT, cli="admin restore")
def restore(ports: Ports, draft: str) -> Draft:
    """Take a discarded draft out of the recycle bin."""
    return sessions.restore(ports, draft, by=ports.caller.name)
