# SPDX-License-Identifier: MIT
"""Operations on what belongs to a lab, by people of that lab and of another one: each refusal has its positive control."""

from __future__ import annotations

import pytest

from labvirt.domain.caller import Grant
from labvirt.domain.right import Right, Role
from labvirt.usecases import groups, labs, people, tokens
from labvirt.web.api.blueprint import NOUNS
from labvirt.web.api.operation import Operation

from .conftest import ROOT, Api

PLACES = {"lab": "lab-a", "terminal": "pc-01", "guest": "lab-a-01"}
"""Things of lab-a that are there."""
ABOUT_LAB_A = [each for noun in NOUNS for each in noun.operations if each.places and set(each.places) <= set(PLACES)]


ABOUT_PEOPLE = [each for noun in NOUNS if noun.name in ("people", "groups") for each in noun.operations]
BODIES = {
    "people_add": {"name": "new"}, "people_change": {"full_name": "New"}, "people_set_password": {"password": "correct horse battery"},
    "people_set_second_factor": {"demand": "administrators"},
    "groups_add": {"name": "new"}, "groups_change": {"note": "New"},
}  # fmt: skip
"""What is good to say."""


def secret(api: Api, role: Role, lab: str) -> dict[str, str]:
    name = f"{role}-{lab}"
    people.add(api.ports, name, grants=(Grant(role, lab),))
    return {"Authorization": f"Bearer {tokens.add(api.ports, 'own', person=name).secret}"}


def address(each: Operation) -> str:
    return ROOT + each.path.format(**{name: PLACES[name] for name in each.places})


@pytest.mark.parametrize("role", [Role.LAB_MANAGER, Role.TEACHER, Role.HELP_DESK, Role.VIEWER])
def test_nobody_reads_or_changes_what_is_another_labs(api: Api, role: Role) -> None:
    labs.add(api.ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"))
    own, foreign = secret(api, role, "lab-a"), secret(api, role, "lab-b")
    client = api.app.test_client()
    looked = 0
    assert len(ABOUT_LAB_A) > 30
    for each in ABOUT_LAB_A:
        body = None if each.method == "GET" else {}
        refused = client.open(address(each), method=each.method, headers=foreign, json=body)
        # 422 and 400: the body was judged first, which tells nothing of the lab.
        assert refused.status_code in (400, 403, 404, 422), (each.id, refused.status_code)
        if each.method == "GET":
            seen = client.get(address(each), headers=own)
            if refused.status_code == 404 and seen.status_code == 200:
                looked += 1
    assert looked > 5


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATOR])
def test_people_and_groups_are_for_who_looks_after_the_site(api: Api, role: Role) -> None:
    people.add(api.ports, "eve", grants=(Grant(role),))
    people.add(api.ports, "anna", grants=(Grant(Role.ADMINISTRATOR),))
    rights = {Right.SITE, Right.PEOPLE}
    refused, taken = (
        {"Authorization": f"Bearer {tokens.add(api.ports, 'own', person=name, rights=rights).secret}"} for name in ("eve", "anna")
    )
    client = api.app.test_client()
    assert len(ABOUT_PEOPLE) >= 14
    for each in ABOUT_PEOPLE:
        for name in ("someone", "chemistry"):  # there anew for each operation
            if name == "someone" and "someone" not in {one.name for one in people.everything(api.ports)}:
                people.add(api.ports, name)
            if name == "chemistry" and name not in {one.name for one in groups.everything(api.ports)}:
                groups.add(api.ports, name)
        path = ROOT + each.path.format(person="someone", group="chemistry")
        body = BODIES.get(each.id)
        assert client.open(path, method=each.method, headers=refused, json=body).status_code == 403, each.id
        assert client.open(path, method=each.method, headers=taken, json=body).status_code == each.status, each.id
