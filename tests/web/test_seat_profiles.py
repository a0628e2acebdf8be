# SPDX-License-Identifier: MIT
"""Another profile for many seats: the plan says what will change and what will not, and only what it says is done."""

from __future__ import annotations

import pytest

from labvirt.domain.caller import CAMPUS, Caller, CallerKind, Grant
from labvirt.domain.guest import GuestState
from labvirt.domain.profile import Mode
from labvirt.domain.right import Role
from labvirt.errors import InvalidInput, NotAllowed
from labvirt.usecases import bulk_profile, labs, profiles, terminals
from labvirt.usecases.bulk_profile import Why

from .conftest import Site
from .lab import guest, put


@pytest.fixture(name="lab")
def _lab(site: Site) -> Site:
    """Four terminals; the first runs desktop; `office` is there for lab-a, `theirs` for lab-b, `hidden` is inactive."""
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, site.ports.clock.now()))
    labs.add(site.ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"), max_instances=8)
    for name in ("office", "theirs", "hidden", "teachers"):
        profiles.clone(site.ports, "desktop", name)
    profiles.change(site.ports, "office", active=True, labs=frozenset({"lab-a"}))
    profiles.change(site.ports, "teachers", active=True, mode=Mode.ADMINISTRATIVE)
    profiles.change(site.ports, "theirs", active=True, labs=frozenset({"lab-b"}))
    terminals.change(site.ports, "lab-a-t02", profile="office")
    return site


def of_seats(site: Site) -> list[str | None]:
    return [each.profile for each in terminals.everything(site.ports, "lab-a")]


def test_the_plan_and_what_is_done(lab: Site) -> None:
    assert [each.name for each in bulk_profile.choices(lab.ports, "lab-a")] == ["desktop", "office"]
    told = bulk_profile.plan(lab.ports, "lab-a", "office", (1, 2, 9))
    assert [(each.name, each.why, each.runs) for each in told] == [
        ("lab-a-t01", Why.WILL, "desktop"),
        ("lab-a-t02", Why.SAME, ""),
        ("lab-a 9", Why.NO_TERMINAL, ""),
    ]
    assert of_seats(lab) == [None, "office", None, None]  # only looked at
    assert bulk_profile.do(lab.ports, "lab-a", "office", (1, 2, 9)) == told
    assert of_seats(lab) == ["office", "office", None, None]
    assert lab.ports.engine.status()  # and what runs goes on:
    with lab.ports.database.read() as work:
        assert work.guests.one("lab-a-01").profile == "desktop"
    bulk_profile.do(lab.ports, "lab-a", None, (1, 2))
    assert of_seats(lab) == [None] * 4


@pytest.mark.parametrize("profile", ["theirs", "hidden", "teachers", "nothing"])
def test_a_profile_that_is_none_for_this_lab_is_refused(lab: Site, profile: str) -> None:
    with pytest.raises(InvalidInput, match="profile"):
        bulk_profile.plan(lab.ports, "lab-a", profile, (1,))
    with pytest.raises(InvalidInput, match="seats"):
        bulk_profile.plan(lab.ports, "lab-a", "office", ())


@pytest.mark.parametrize("role", Role)
def test_who_keeps_the_seats_of_that_lab_and_nobody_else(lab: Site, role: Role) -> None:
    grants = (Grant(role, "lab-a" if role is not Role.ADMINISTRATOR else None),)
    anna = lab.ports.on_behalf_of(Caller(kind=CallerKind.PERSON, name="anna", person="anna", grants=grants, sign_in=f"{CAMPUS}anna"))
    allowed = role in (Role.ADMINISTRATOR, Role.LAB_MANAGER, Role.HELP_DESK)
    if allowed:
        bulk_profile.do(anna, "lab-a", "office", (1,))
    else:
        with pytest.raises(NotAllowed):
            bulk_profile.do(anna, "lab-a", "office", (1,))
    assert of_seats(lab)[0] == ("office" if allowed else None)


def test_from_the_map_to_the_plan_to_the_change(lab: Site) -> None:
    browser = lab.browser()
    assert "Change the profile" in browser.get("/labs/lab-a").text
    asked = browser.post("/labs/lab-a/profile/plan", data={"seats": ["1", "2"]})
    assert ("office" in asked.text, "theirs" in asked.text, ">hidden<" in asked.text) == (True, False, False)
    told = browser.post("/labs/lab-a/profile/plan", data={"seats": ["1", "2"], "profile": "office"}).text
    assert "runs desktop until its next start" in told
    assert "it has this profile already" in told
    assert "Change 1 seat" in told
    said = browser.post("/labs/lab-a/profile/do", data={"seats": ["1", "2"], "profile": "office"}, follow_redirects=True).text
    assert "The profile of 1 seat is changed." in said
    assert of_seats(lab) == ["office", "office", None, None]
    none = browser.post("/labs/lab-a/profile/plan", data={})
    assert (none.status_code, "choose at least one" in none.text) == (400, True)
