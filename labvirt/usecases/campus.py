# SPDX-License-Identifier: MIT
"""People whom the campus's single sign-on vouches for, through a web server that is trusted to say so."""

from __future__ import annotations

from labvirt.domain.caller import CAMPUS, Caller, CallerKind
from labvirt.domain.person import check_person_name
from labvirt.errors import AlreadyExists, InvalidInput
from labvirt.usecases import people
from labvirt.usecases.ports import Ports


def caller_of(ports: Ports, name: str, *, address: str, group: str = "") -> Caller | None:
    """For whom this name stands. Somebody unknown is a person from now on, without any right, or a member of `group`. None: a name that
    nobody can have, or a person who is not active."""
    try:
        name = check_person_name(name)
    except InvalidInput:
        return None
    with ports.database.read() as work:
        person = work.people.get(name)
    if person is None:
        with ports.database.write() as work:
            there = group if group and work.groups.get(group) is not None else ""
            try:
                person = people.insert(ports, work, name, full_name="", hashed=None, grants=(), groups=(there,) if there else ())
            except AlreadyExists:  # somebody was faster
                person = work.people.one(name)
            ports.note(work, name, f"person added at the first sign-in through the campus{f', in the group {there}' if there else ''}")
            work.commit()
    if not person.active:
        return None
    return Caller(
        kind=CallerKind.PERSON,
        name=person.name,
        person=person.name,
        grants=person.grants,
        address=address,
        sign_in=f"{CAMPUS}{person.name}",
    )
