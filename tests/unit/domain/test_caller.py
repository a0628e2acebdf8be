# SPDX-License-Identifier: MIT
"""What a role gives where, and how a token's scope narrows it."""

from __future__ import annotations

import pytest

from labvirt.domain.caller import MACHINE, Caller, CallerKind, Grant
from labvirt.domain.right import RIGHTS, Right, Role


def person(*grants: Grant, rights: frozenset[Right] | None = None) -> Caller:
    return Caller(kind=CallerKind.PERSON, name="anna", grants=grants, rights=rights)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("right", Right)
def test_a_role_in_one_lab_counts_there_and_nowhere_else(role: Role, right: Right) -> None:
    anna = person(Grant(role, "lab-a"))
    assert anna.may(right, "lab-a") is (right in RIGHTS[role])
    assert not anna.may(right, "lab-b")
    assert not anna.may(right, None)
    assert person(Grant(role)).may(right, "lab-b") is person(Grant(role)).may(right, None) is (right in RIGHTS[role])


def test_what_belongs_to_several_labs_needs_all_and_what_belongs_to_none_needs_the_site() -> None:
    anna = person(Grant(Role.TEACHER, "lab-a"), Grant(Role.TEACHER, "lab-b"))
    assert anna.may_in_all(Right.UPDATE, ("lab-a", "lab-b"))
    assert not anna.may_in_all(Right.UPDATE, ("lab-a", "lab-c"))
    assert anna.may_in_any(Right.UPDATE, ("lab-c", "lab-a"))
    assert not anna.may_in_any(Right.UPDATE, ("lab-c",))
    assert not anna.may_in_all(Right.UPDATE, ())
    assert person(Grant(Role.TEACHER)).may_in_all(Right.UPDATE, ())


def test_a_scope_narrows_and_never_widens() -> None:
    all_rights = frozenset(Right)
    for role in Role:
        for right in Right:
            wide, narrow = person(Grant(role), rights=all_rights), person(Grant(role), rights=frozenset({Right.LOOK}))
            assert wide.may(right, "lab-a") is (right in RIGHTS[role])
            assert narrow.may(right, "lab-a") is (right is Right.LOOK)


def test_nobody_may_nothing_and_the_machine_everything() -> None:
    for right in Right:
        assert not person().may(right, "lab-a")
        assert MACHINE.may(right, "lab-a")
        assert MACHINE.may(right, None)
