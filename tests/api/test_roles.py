# SPDX-License-Identifier: MIT
"""Operations on what belongs to a lab, by people of that lab and of another one: each refusal has its positive control."""

from __future__ import annotations

import pytest

from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.usecases import labs, people, tokens
from labvirt.web.api.blueprint import NOUNS
from labvirt.web.api.operation import Operation

from .conftest import ROOT, Api

PLACES = {"lab": "lab-a", "terminal": "pc-01", "guest": "lab-a-01"}
"""Things of lab-a that are there."""
ABOUT_LAB_A = [each for noun in NOUNS for each in noun.operations if each.places and set(each.places) <= set(PLACES)]


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
