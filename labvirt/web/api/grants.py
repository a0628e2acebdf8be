# SPDX-License-Identifier: MIT
"""/roles, and grants as clients write them: a role for the whole site, or for one lab."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from labvirt.domain.caller import Grant
from labvirt.domain.person import parse_grant
from labvirt.domain.right import RIGHTS, Right, Role
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Answered, Shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("roles", "What a person or a group may be granted.")

Written = Annotated[str, Field(max_length=80, description="ROLE for the whole site, ROLE:LAB for one lab.")]
Grants = Annotated[list[Written], Field(max_length=200, description="All of them anew.")]


class RoleTold(Answered):
    """A role, and what it may."""

    name: Role
    rights: list[Right]


ROLES = Many(
    Shape(RoleTold, lambda ports, each: {"name": str(each), "rights": [str(right) for right in Right if right in RIGHTS[each]]}),
    key=str,
)


@noun.get("/roles", ROLES)
def list_(ports: Ports, asked: Paged) -> tuple[Role, ...]:
    """Every role with its rights."""
    return tuple(Role)


def read(written: Iterable[str]) -> tuple[Grant, ...]:
    """Raises InvalidInput."""
    return tuple(parse_grant(each, "grants") for each in written)
