# SPDX-License-Identifier: MIT
"""On whose behalf a use case runs. A value: who it is, from where, and what was granted; never how that was proved."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from labvirt.domain.right import RIGHTS, Right, Role

CAMPUS = "campus "
"""How the sign-in is called of whom a trusted proxy vouches for; then the person's name."""


class CallerKind(StrEnum):
    MACHINE = "machine"
    """LabVirt itself, or somebody at a shell of the controller who can read its state folder anyway."""
    PERSON = "person"
    """A signed-in browser."""
    TOKEN = "token"  # noqa: S105 - the kind of caller, no secret
    """A program with a person's API token."""
    TERMINAL = "terminal"
    """A lab PC: only the use cases that take its address as proof."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in one lab; `lab` None: in every lab, also in those that are made later."""

    role: Role
    lab: str | None = None

    def gives(self, right: Right, lab: str | None) -> bool:
        """`lab` None asks for the whole site, which only a grant for the whole site gives."""
        return right in RIGHTS[self.role] and self.lab in (None, lab)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`name` is how the audit calls who it was ('shell root', 'anna'). `rights` narrows what the grants give (a token's scope);
    None: everything they give. `address` is where the request came from, '' when it was not the network."""

    kind: CallerKind
    name: str
    grants: tuple[Grant, ...] = ()
    rights: frozenset[Right] | None = None
    address: str = ""
    sign_in: str = ""
    """Which sign-in or token this is: tickets are bound to it. No secret."""
    person: str = ""
    """Whose rights these are: a person's name (`name` of a token says the token too); '' when it is nobody's."""
    owes_factor: bool = False
    """Must set up a second factor, and has no grants until then."""

    def may(self, right: Right, lab: str | None) -> bool:
        """In that lab (`lab` None: for the whole site)."""
        if self.kind is CallerKind.MACHINE:
            return True
        if self.rights is not None and right not in self.rights:
            return False
        return any(grant.gives(right, lab) for grant in self.grants)

    @property
    def is_vouched_for(self) -> bool:
        """Is it the campus's sign-on that knows them? It has no password that we could ask for."""
        return self.sign_in.startswith(CAMPUS)

    @property
    def tends_people(self) -> bool:
        """Is it a program whose token was made for changing people? One that may 'everything' was not: it must be named."""
        named = self.rights is not None and Right.PEOPLE in self.rights
        return self.kind is CallerKind.TOKEN and named and self.may(Right.PEOPLE, None) and self.may(Right.SITE, None)

    def may_in_all(self, right: Right, labs: Collection[str]) -> bool:
        """In each of these labs. Of none at all, the whole site is asked: what belongs to no lab is the site's."""
        return all(self.may(right, lab) for lab in labs) if labs else self.may(right, None)

    def may_in_any(self, right: Right, labs: Collection[str]) -> bool:
        """In at least one of these, or in the whole site."""
        return self.may(right, None) or any(self.may(right, lab) for lab in labs)

    def may_somewhere(self, right: Right) -> bool:
        """In any lab at all, or in the whole site."""
        return self.may(right, None) or any(self.may(right, grant.lab) for grant in self.grants)


def terminal(name: str, address: str = "") -> Caller:
    """A lab PC, for what is written down: it has no rights."""
    return Caller(kind=CallerKind.TERMINAL, name=name, address=address)


MACHINE = Caller(kind=CallerKind.MACHINE, name="labvirt")
