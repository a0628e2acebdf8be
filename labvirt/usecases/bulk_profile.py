# SPDX-License-Identifier: MIT
"""Another profile for many seats of a lab, with a plan beforehand. What runs goes on; each seat takes the profile at its next start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.guest import Guest
from labvirt.domain.profile import Mode, Profile
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import terminals, whose
from labvirt.usecases.bulk import HOW_TO_CHOOSE
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible


class Why(StrEnum):
    """What a plan says of a seat, for pages to say in their language."""

    WILL = "will"
    SAME = "it has this profile already"
    NO_TERMINAL = "no terminal belongs to this seat"
    FAILED = "it was refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilePlan:
    """`before`: its own profile, None where the lab's order decides. `runs`: on this profile now, until it ends; '' when it is off.
    `detail` is more, in the words of who refused."""

    seat: int
    name: str
    """Of the terminal; of the guest where there is none."""
    why: Why
    before: str | None = None
    runs: str = ""
    detail: str = ""

    @property
    def will(self) -> bool:
        return self.why is Why.WILL


@needs(Right.SEATS, lab="lab")
def choices(ports: Ports, lab: str) -> tuple[Profile, ...]:
    """What a seat of this lab can be given, by position and name: active, for clients, meant for the lab, and seen by the caller. Raises
    NotFound."""
    with ports.database.read() as work:
        work.labs.one(lab)
        found = [each for each in work.profiles.list() if each.active and each.mode is not Mode.ADMINISTRATIVE and each.fits(lab)]
    return tuple(sorted(visible(ports, found, whose.of_profile), key=lambda each: (each.position_in(lab), each.name)))


@needs(Right.SEATS, lab="lab")
def plan(ports: Ports, lab: str, profile: str | None, chosen: Collection[int]) -> tuple[ProfilePlan, ...]:
    """What it would come to at each of these seats, by number (`profile` None: the lab's order decides). Changes nothing. Raises NotFound
    (lab), InvalidInput (no seat chosen; none of `choices`)."""
    if not chosen:
        raise InvalidInput("seats", "choose at least one", hint=HOW_TO_CHOOSE)
    if profile is not None and profile not in {each.name for each in choices(ports, lab)}:
        raise InvalidInput("profile", f"must be one that seats of {lab} can be given", hint="labvirt profile list")
    with ports.database.read() as work:
        seated = {each.seat: each for each in work.terminals.of_lab(lab)}
        guests = {each.seat: each for each in work.guests.of_lab(lab)}
        return tuple(_plan(work, lab, profile, seat, seated.get(seat), guests.get(seat)) for seat in sorted(set(chosen)))


@needs(Right.SEATS, lab="lab")
def do(ports: Ports, lab: str, profile: str | None, chosen: Collection[int]) -> tuple[ProfilePlan, ...]:
    """It was changed where its plan says WILL; one that is refused in the end does not keep the others. Raises as `plan`."""
    return tuple(_do(ports, profile, each) if each.will else each for each in plan(ports, lab, profile, chosen))


def _plan(work: UnitOfWork, lab: str, profile: str | None, seat: int, terminal: Terminal | None, guest: Guest | None) -> ProfilePlan:
    if terminal is None:
        return ProfilePlan(seat=seat, name=guest.name if guest else f"{lab} {seat}", why=Why.NO_TERMINAL)
    runs = guest.profile if guest is not None and guest.alive and guest.profile else ""
    why = Why.SAME if terminal.profile == profile else Why.WILL
    return ProfilePlan(seat=seat, name=terminal.name, why=why, before=terminal.profile, runs=runs)


def _do(ports: Ports, profile: str | None, told: ProfilePlan) -> ProfilePlan:
    try:
        terminals.change(ports, told.name, profile=profile)
    except LabVirtError as error:
        return replace(told, why=Why.FAILED, detail=error.sentence)
    return told
