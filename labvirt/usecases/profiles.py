# SPDX-License-Identifier: MIT
"""Profiles: made, changed, cloned and removed by an administrator. A change counts from the next start of each
guest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.names import check_name, one_line
from labvirt.domain.profile import Profile
from labvirt.errors import InUse, NotFound
from labvirt.usecases.ports import Ports


def everything(ports: Ports) -> tuple[Profile, ...]:
    """By position, then name: the order in which they are tried."""
    with ports.database.read() as work:
        return tuple(sorted(work.profiles.list(), key=lambda p: (p.position, p.name)))


def one(ports: Ports, name: str) -> Profile:
    """Raises NotFound."""
    with ports.database.read() as work:
        return work.profiles.one(name)


def add(ports: Ports, profile: Profile) -> Profile:
    """A new profile. Raises AlreadyExists, NotFound (an image, version or lab it names)."""
    with ports.database.write() as work:
        profile = replace(profile, note=one_line(profile.note))
        _check(work, profile)
        work.profiles.add(profile)
        ports.note(work, profile.name, "profile added")
        work.commit()
    ports.poke()
    return profile


def change(ports: Ports, name: str, **changes: Any) -> Profile:
    """The profile with these fields replaced (not its name). Running guests keep what they were started with."""
    assert "name" not in changes
    with ports.database.write() as work:
        if "note" in changes:
            changes["note"] = one_line(changes["note"])
        profile = replace(work.profiles.one(name), **changes)
        _check(work, profile)
        work.profiles.update(profile)
        ports.note(work, name, f"profile changed: {', '.join(sorted(changes)) or 'nothing'}")
        work.commit()
    ports.poke()
    return profile


def clone(ports: Ports, name: str, new_name: str) -> Profile:
    """A copy under a new name, inactive, so that it can be changed before anybody gets it. Raises NotFound,
    AlreadyExists.
    """
    check_name(new_name, "name")
    with ports.database.write() as work:
        profile = replace(work.profiles.one(name), name=new_name, active=False)
        work.profiles.add(profile)
        ports.note(work, new_name, f"profile cloned from {name}")
        work.commit()
    return profile


def remove(ports: Ports, name: str) -> Profile:
    """The profile is gone. Raises NotFound, InUse (a terminal asks for it, or a guest that is not stopped was made
    from it).
    """
    with ports.database.write() as work:
        profile = work.profiles.one(name)
        for guest in work.guests.list():
            if guest.profile == name:
                if guest.state.value not in ("stopped", "failed"):
                    raise InUse("profile", name, f"the guest {guest.name}, which is {guest.state}")
                work.guests.update(replace(guest, profile=None, disks=()))
        work.profiles.remove(name)
        ports.note(work, name, "profile removed")
        work.commit()
    ports.poke()
    return profile


def _check(work: UnitOfWork, profile: Profile) -> None:
    for lab in sorted(profile.labs):
        work.labs.one(lab)
    for slot in profile.slots:
        if slot.image is None:
            continue
        work.images.one(slot.image)
        if slot.version is not None and work.images.version(slot.image, slot.version) is None:
            raise NotFound("version", f"{slot.image}:{slot.version}")
