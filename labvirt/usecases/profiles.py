# SPDX-License-Identifier: MIT
"""Profiles: made, changed, cloned and removed by an administrator. A change counts from the next start of each
guest. How a profile looks from its administrative side is in administration.py.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.advice import Advice, advise
from labvirt.domain.audit import changed, told
from labvirt.domain.dependencies import uses_disks
from labvirt.domain.names import check_name, one_line
from labvirt.domain.profile import Profile, Slot
from labvirt.domain.right import Right
from labvirt.errors import AlreadyExists, Conflict, InUse, InvalidInput, LabVirtError, NotFound
from labvirt.usecases import people, whose
from labvirt.usecases.administration import AdministrativeView as AdministrativeView
from labvirt.usecases.administration import administrative as administrative
from labvirt.usecases.administration import all_administrative as all_administrative
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import must_see, needs, visible

__all__ = [
    "CHANGEABLE",
    "AdministrativeView",
    "Difference",
    "add",
    "administrative",
    "advice",
    "all_administrative",
    "change",
    "clone",
    "difference",
    "everything",
    "get_check",
    "one",
    "preview",
    "put_check",
    "remove",
    "remove_check",
]

CHANGEABLE = frozenset(each.name for each in fields(Profile)) - {"name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field in which two profiles differ, as words."""

    field: str
    one: str
    other: str


@needs(Right.LOOK, each=True)
def everything(ports: Ports) -> tuple[Profile, ...]:
    """By position, then name: the order in which they are tried."""
    with ports.database.read() as work:
        found = visible(ports, work.profiles.list(), whose.of_profile)
    return tuple(sorted(found, key=lambda p: (p.position, p.name)))


@needs(Right.LOOK, profile="name")
def one(ports: Ports, name: str) -> Profile:
    """Raises NotFound."""
    with ports.database.read() as work:
        return work.profiles.one(name)


@needs(Right.DESIGN, made_profile="profile")
def add(ports: Ports, profile: Profile) -> Profile:
    """A new profile. Raises AlreadyExists, NotFound (an image, version or lab it names), Conflict (one in the recycle bin), InvalidInput
    (checks that do not exist)."""
    with ports.database.write() as work:
        profile = replace(profile, note=one_line(profile.note))
        _check(ports, work, profile)
        work.profiles.add(profile)
        ports.note(work, profile.name, "profile added", verb="add", noun="profile", after=told(profile))
        work.commit()
    ports.poke()
    return profile


@needs(Right.DESIGN, profile="name", affinity="labs")
def change(ports: Ports, name: str, **changes: Any) -> Profile:
    """The profile with these fields replaced (not its name). Running guests keep what they were started with. Raises NotFound, InvalidInput
    (names the field), Conflict; then nothing was changed."""
    assert changes.keys() <= CHANGEABLE, changes
    with ports.database.write() as work:
        if "note" in changes:
            changes["note"] = one_line(changes["note"])
        old = work.profiles.one(name)
        profile = replace(old, **changes)
        _check(ports, work, profile)
        work.profiles.update(profile)
        before, after = changed(old, profile)
        ports.note(
            work,
            name,
            f"profile changed: {', '.join(sorted(changes)) or 'nothing'}",
            verb="change",
            noun="profile",
            before=before,
            after=after,
        )
        work.commit()
    ports.poke()
    return profile


@needs(Right.DESIGN, profile="name")
def clone(ports: Ports, name: str, new_name: str) -> Profile:
    """A copy of everything, its checks too, under a new name; inactive, so that it can be changed before anybody gets it.
    Raises NotFound, AlreadyExists."""
    check_name(new_name, "name")
    with ports.database.read() as work:
        work.profiles.one(name)
        if work.profiles.get(new_name) is not None:
            raise AlreadyExists("profile", new_name)
    # The files first: a clone without its checks would have canaries that are red; files without a profile harm nobody.
    ports.trials.copy_checks(name, new_name)
    with ports.database.write() as work:
        profile = replace(work.profiles.one(name), name=new_name, active=False)
        work.profiles.add(profile)
        ports.note(work, new_name, f"profile cloned from {name}", verb="clone", noun="profile", after={"from": name})
        work.commit()
    return profile


@needs(Right.DESIGN, profile="name")
def remove(ports: Ports, name: str) -> Profile:
    """The profile is gone. Raises NotFound, MustConfirm, InUse (a terminal asks for it, a draft needs it, or a guest that is
    not stopped was made from it).
    """
    people.lately(ports)
    with ports.database.write() as work:
        profile = work.profiles.one(name)
        for draft in work.drafts.list():
            if draft.alive and draft.profile == name:
                raise InUse("profile", name, f"the draft {draft.name}, which is {draft.state}")
        for guest in work.guests.list():
            if guest.profile == name:
                if guest.state.value not in ("stopped", "failed") or uses_disks(guest):
                    raise InUse("profile", name, f"the guest {guest.name}, which is {guest.state}")
                work.guests.update(replace(guest, profile=None, disks=()))
        work.profiles.remove(name)
        ports.note(work, name, "profile removed", verb="remove", noun="profile", before=told(profile))
        work.commit()
    for check in profile.checks:
        ports.trials.remove_check(name, check)
    ports.poke()
    return profile


@needs(Right.DESIGN, profile="name")
def put_check(ports: Ports, name: str, check: str, text: str) -> Profile:
    """The profile has this check file (an existing one is replaced); canaries run it from now on. Raises NotFound, InvalidInput (its name,
    or a text that is not Python)."""
    one(ports, name)
    ports.trials.put_check(name, check, text)
    with ports.database.write() as work:
        profile = work.profiles.one(name)
        if check not in profile.checks:
            profile = replace(profile, checks=tuple(sorted((*profile.checks, check))))
            work.profiles.update(profile)
        ports.note(work, name, f"check {check} written", verb="write-check", noun="profile", after={"check": check})
        work.commit()
    return profile


@needs(Right.LOOK, profile="name")
def get_check(ports: Ports, name: str, check: str) -> str:
    """Its text. Raises NotFound."""
    one(ports, name)
    return ports.trials.get_check(name, check)


@needs(Right.DESIGN, profile="name")
def remove_check(ports: Ports, name: str, check: str) -> Profile:
    """The profile has it no longer. Raises NotFound."""
    with ports.database.write() as work:
        profile = work.profiles.one(name)
        if check not in profile.checks:
            raise NotFound("check", check)
        profile = replace(profile, checks=tuple(each for each in profile.checks if each != check))
        work.profiles.update(profile)
        ports.note(work, name, f"check {check} removed", verb="remove-check", noun="profile", before={"check": check})
        work.commit()
    ports.trials.remove_check(name, check)
    return profile


@needs(Right.LOOK, profile="profile", lab="lab")
def preview(ports: Ports, profile: str, lab: str, seat: int = 1) -> tuple[str, ...]:
    """The argv with which a guest of this profile would be started on that seat now. Raises NotFound, InvalidInput (seat), Conflict (an
    image has no version), EngineAway."""
    with ports.database.read() as work:
        work.profiles.one(profile)
        most = work.labs.one(lab).max_instances
    if not 1 <= seat <= most:
        raise InvalidInput("seat", f"must be 1 to {most}, the seats of {lab}")
    return ports.engine.preview(profile, lab, seat)


@needs(Right.LOOK, profile="name")
def difference(ports: Ports, name: str, other: str) -> tuple[Difference, ...]:
    """In which fields the two differ, in the order in which a profile has them. Raises NotFound."""
    with ports.database.read() as work:
        must_see(ports, work, "profile", other)
        first, second = work.profiles.one(name), work.profiles.one(other)
    return tuple(
        Difference(field=each.name, one=_words(getattr(first, each.name)), other=_words(getattr(second, each.name)))
        for each in fields(Profile)
        if each.name != "name" and getattr(first, each.name) != getattr(second, each.name)
    )


@needs(Right.LOOK, profile="name")
def advice(ports: Ports, name: str) -> tuple[Advice, ...]:
    """What would run better and why. The host is asked for its accelerator if the engine answers. Raises NotFound."""
    profile = one(ports, name)
    try:
        accelerator = ports.engine.status().accelerator
    except LabVirtError:
        accelerator = ""
    return advise(profile, accelerator=accelerator)


def _check(ports: Ports, work: UnitOfWork, profile: Profile) -> None:
    for lab in sorted(profile.labs | {lab for lab, _ in profile.lab_positions}):
        work.labs.one(lab)
    for slot in profile.slots:
        if slot.image is None:
            continue
        must_see(ports, work, "image", slot.image)
        image = work.images.one(slot.image)
        if image.binned_at is not None:
            raise Conflict(f"The image {image.name} is in the recycle bin.", hint=f"labvirt image restore {image.name}")
        if slot.version is None:
            continue
        version = work.images.version(slot.image, slot.version)
        if version is None:
            raise NotFound("version", f"{slot.image}:{slot.version}")
        if version.binned_at is not None:
            raise Conflict(f"{version.label} is in the recycle bin.", hint=f"labvirt version restore {version.image} {version.number}")
    for check in profile.checks:
        try:
            ports.trials.get_check(profile.name, check)
        except NotFound as error:
            hint = f"Write it first: labvirt profile checks add {profile.name} FILE"
            raise InvalidInput("checks", f"the profile has no file {check}", hint=hint) from error


def _words(value: object) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], Slot):
        return " ".join(f"{s.image or s.kind}{f'@{s.version}' if s.version else ''}:{s.bus}" for s in value)
    if isinstance(value, tuple):
        return " ".join("=".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value) or "none"
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or "all"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)
