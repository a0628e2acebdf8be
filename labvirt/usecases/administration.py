# SPDX-License-Identifier: MIT
"""The administrative side of a profile, shown beside it: what a session would start from, whether one may begin now, who has one open."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.image import Image
from labvirt.domain.profile import Profile, SessionPolicy, SlotKind
from labvirt.domain.right import Right
from labvirt.usecases import draining, whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrativeDisk:
    """One disk that a session may change. `version`: on which one it would begin (None: there is none); `pinned`: seats keep that version
    whatever is published."""

    place: int
    image: str
    version: int | None
    pinned: int | None
    open: Draft | None
    """The session that is open, or being published, on this image; nobody else may begin one meanwhile."""
    kept: tuple[Draft, ...]
    clients: tuple[str, ...]
    """Guests of seats that run from it now, of labs that the caller may look at."""
    clients_elsewhere: int = 0
    """How many more run from it in other labs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdministrativeView:
    """`why_not`: why no session may begin on its first disk now; empty when one may. `what_happens`: what the policy does to clients."""

    profile: str
    policy: SessionPolicy
    drain_seconds: int
    disks: tuple[AdministrativeDisk, ...]
    why_not: str
    what_happens: str
    command: str
    """The command that opens one."""


@needs(Right.LOOK, profile="profile")
def administrative(ports: Ports, profile: str) -> AdministrativeView:
    """Raises NotFound."""
    with ports.database.read() as work:
        return _view(ports, work, work.profiles.one(profile))


@needs(Right.LOOK, each=True)
def all_administrative(ports: Ports) -> tuple[AdministrativeView, ...]:
    """For every profile, in the order in which they are tried."""
    with ports.database.read() as work:
        found = visible(ports, work.profiles.list(), whose.of_profile)
        return tuple(_view(ports, work, each) for each in sorted(found, key=lambda p: (p.position, p.name)))


def _view(ports: Ports, work: UnitOfWork, profile: Profile) -> AdministrativeView:
    disks = tuple(
        _disk(ports, work, place, work.images.one(slot.image), slot.version)
        for place, slot in enumerate(profile.slots)
        if slot.kind is SlotKind.DISK and slot.image is not None
    )
    return AdministrativeView(
        profile=profile.name,
        policy=profile.session_policy,
        drain_seconds=profile.drain_seconds,
        disks=disks,
        why_not=_why_not(work, profile, disks),
        what_happens=_what_happens(profile, disks),
        command=f"labvirt admin start {profile.name}",
    )


def _disk(ports: Ports, work: UnitOfWork, place: int, image: Image, pinned: int | None) -> AdministrativeDisk:
    drafts = work.drafts.of_image(image.name)
    clients = draining.clients(work, image.name)
    seen = tuple(guest.name for guest in clients if ports.caller.may(Right.LOOK, guest.lab))
    there = [version.number for version in work.images.versions(image.name) if version.binned_at is None]
    return AdministrativeDisk(
        place=place,
        image=image.name,
        version=image.published if image.published is not None else max(there, default=None),
        pinned=pinned,
        open=next((draft for draft in drafts if draft.state in (DraftState.OPEN, DraftState.PUBLISHING)), None),
        kept=tuple(draft for draft in drafts if draft.state is DraftState.KEPT),
        clients=seen,
        clients_elsewhere=len(clients) - len(seen),
    )


def _why_not(work: UnitOfWork, profile: Profile, disks: tuple[AdministrativeDisk, ...]) -> str:
    if not profile.active:
        return f"the profile {profile.name} is not active"
    first = disks[0]
    if work.images.one(first.image).binned_at is not None:
        return f"the image {first.image} is in the recycle bin"
    if first.version is None:
        return f"the image {first.image} has no version to begin from"
    if first.open is not None:
        doing = "being published" if first.open.state is DraftState.PUBLISHING else "being updated"
        return f"{first.image} is {doing} by {first.open.owner} since {draining.clock_time(first.open.since)} ({first.open.name})"
    many = len(first.clients) + first.clients_elsewhere
    if profile.session_policy is SessionPolicy.REFUSE and many:
        names = f" ({', '.join(first.clients[:4])})" if first.clients else ""
        return f"{many} client{'' if many == 1 else 's'} run{'s' if many == 1 else ''} from {first.image}{names}"
    return ""


def _what_happens(profile: Profile, disks: tuple[AdministrativeDisk, ...]) -> str:
    many = len(disks[0].clients) + disks[0].clients_elsewhere
    if profile.session_policy is SessionPolicy.REFUSE:
        return "clients that run keep it from beginning, and none starts while it is open"
    if profile.session_policy is SessionPolicy.DRAIN:
        now = f" ({many} now)" if many else ""
        return f"clients{now} are told, get {profile.drain_seconds} s and are stopped; none starts while it is open"
    return "clients go on with the published version, and start from it meanwhile"
