# SPDX-License-Identifier: MIT
"""Groups: what several people may do together, given once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from labvirt.domain.caller import Grant
from labvirt.domain.person import Group, grant_text
from labvirt.domain.right import Right
from labvirt.usecases import people
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    group: Group
    members: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.group.name


@needs(Right.SITE, site=True)
def everything(ports: Ports) -> tuple[GroupView, ...]:
    """By name."""
    with ports.database.read() as work:
        return tuple(GroupView(group=each, members=work.groups.members(each.name)) for each in work.groups.list())


@needs(Right.SITE, site=True)
def one(ports: Ports, name: str) -> GroupView:
    """Raises NotFound."""
    with ports.database.read() as work:
        return GroupView(group=work.groups.one(name), members=work.groups.members(name))


@needs(Right.SITE, site=True)
def add(ports: Ports, name: str, *, note: str = "", grants: Collection[Grant] = ()) -> Group:
    """A new group without members. Raises InvalidInput, AlreadyExists, NotFound (a lab), MustConfirm."""
    people.confirmed(ports)
    group = Group(name=name, note=note, grants=people.check_grants(grants))
    with ports.database.write() as work:
        for grant in group.grants:
            if grant.lab is not None:
                work.labs.one(grant.lab)
        work.groups.add(group)
        ports.note(work, name, f"group added by {ports.caller.name}: {_words(group)}")
        work.commit()
    return group


@needs(Right.SITE, site=True)
def change(ports: Ports, name: str, *, note: str | None = None, grants: Collection[Grant] | None = None) -> Group:
    """What its members may do is that from their next request on. Raises NotFound, InvalidInput, MustConfirm, Conflict (nobody would be an
    administrator any more)."""
    people.confirmed(ports)
    with ports.database.write() as work:
        before = any(person.administers for person in work.people.list())
        old = work.groups.one(name)
        new = replace(old, note=old.note if note is None else note, grants=old.grants if grants is None else people.check_grants(grants))
        for grant in new.grants:
            if grant.lab is not None:
                work.labs.one(grant.lab)
        work.groups.update(new)
        people.somebody_administers(work, before)
        ports.note(work, name, f"group changed by {ports.caller.name}: {_words(new)}")
        work.commit()
    return new


@needs(Right.SITE, site=True)
def remove(ports: Ports, name: str) -> Group:
    """It is gone; its members keep what is their own. Raises NotFound, MustConfirm, Conflict."""
    people.confirmed(ports)
    with ports.database.write() as work:
        before = any(person.administers for person in work.people.list())
        old = work.groups.one(name)
        work.groups.remove(name)
        people.somebody_administers(work, before)
        ports.note(work, name, f"group removed by {ports.caller.name}")
        work.commit()
    return old


def _words(group: Group) -> str:
    return ", ".join(map(grant_text, group.grants)) or "no rights"
