# SPDX-License-Identifier: MIT
"""/groups: what several people may do together, given once."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from labvirt import shapes
from labvirt.usecases import groups
from labvirt.usecases.groups import GroupView
from labvirt.usecases.ports import Ports
from labvirt.web.api import grants
from labvirt.web.api.grants import Grants
from labvirt.web.api.model import Answered, Name, Shape, Text, Told
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("groups", "What several people may do together.")


class GroupTold(Answered):
    """A group with its members."""

    name: str
    note: str
    grants: list[str]
    members: list[str]


class GroupChange(Told):
    """Fields of a group. Its members are told by PATCH of each person."""

    note: Text = ""
    grants: Grants = []


class GroupNew(GroupChange):
    """A new group, without members."""

    name: Name


GROUP = Shape(GroupTold, lambda ports, each: shapes.group(each.group, each.members))


@noun.get("/groups", Many(GROUP, key=lambda each: each.name), cli="group list")
def list_(ports: Ports, asked: Paged) -> tuple[GroupView, ...]:
    """All groups."""
    return groups.everything(ports)


@noun.get("/groups/{group}", GROUP)
def show(ports: Ports, group: str) -> GroupView:
    """One group."""
    return groups.one(ports, group)


@noun.post("/groups", GROUP, status=HTTPStatus.CREATED, cli="group add")
def add(ports: Ports, told: GroupNew) -> GroupView:
    """A new group without members."""
    return GroupView(group=groups.add(ports, **_read(told)), members=())


@noun.patch("/groups/{group}", GROUP, guarded_by="groups_show", cli="group set")
def change(ports: Ports, group: str, told: GroupChange) -> GroupView:
    """Change what its members may do; it counts from their next request on."""
    groups.change(ports, group, **_read(told))
    return groups.one(ports, group)


@noun.delete("/groups/{group}", guarded_by="groups_show", cli="group remove")
def remove(ports: Ports, group: str) -> None:
    """Remove a group; its members keep what is their own."""
    groups.remove(ports, group)


def _read(told: GroupChange) -> dict[str, Any]:
    given = told.given()
    return given | {"grants": grants.read(given["grants"])} if "grants" in given else given
