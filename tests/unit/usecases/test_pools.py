# SPDX-License-Identifier: MIT
"""Warm pools: who may say how many desktops wait, what cannot be, and what is told of them."""

from __future__ import annotations

import pytest

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.caller import CAMPUS, Caller, CallerKind, Grant
from labvirt.domain.pool import KEPT_MINUTES, Pool, SpareKind
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.domain.right import RIGHTS, Right, Role
from labvirt.errors import EngineAway, InvalidInput, NotAllowed, NotFound
from labvirt.usecases import labs, pools, profiles
from labvirt.usecases.ports import Ports
from tests.unit.usecases.conftest import Site


@pytest.fixture
def warm(site: Site) -> Site:
    """`desk` wants instant clones, `plain` does not; `theirs` is for another lab alone. The lab has 8 seats."""
    profiles.change(site.ports, "desk", instant_clone=True)
    labs.add(site.ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"), max_instances=4)
    slots = (Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),)
    for name, where in (("plain", frozenset[str]()), ("theirs", frozenset({"lab-b"}))):
        profiles.add(site.ports, Profile(name=name, memory_mib=64, slots=slots, labs=where))
    return site


def as_(site: Site, role: Role, lab: str) -> Ports:
    anna = Caller(kind=CallerKind.PERSON, name="anna", person="anna", grants=(Grant(role, lab),), sign_in=f"{CAMPUS}anna")
    return site.ports.on_behalf_of(anna)


def test_a_pool_is_what_was_said_last(warm: Site) -> None:
    pokes = warm.engine.pokes
    none = pools.one(warm.ports, "lab-a", "desk")
    assert (none, pools.of_lab(warm.ports, "lab-a")) == (Pool(lab="lab-a", profile="desk"), ())
    put = pools.put(warm.ports, "lab-a", "desk", ready=1, paused=3, prespawned=2, minutes=60)
    assert put == Pool(lab="lab-a", profile="desk", ready=1, paused=3, prespawned=2, minutes=60)
    assert pools.put(warm.ports, "lab-a", "desk", paused=4) == pools.one(warm.ports, "lab-a", "desk")
    assert pools.of_lab(warm.ports, "lab-a") == (Pool(lab="lab-a", profile="desk", paused=4, minutes=KEPT_MINUTES),)
    assert pools.of_lab(warm.ports, "lab-b") == ()
    assert warm.engine.pokes == pokes + 2


@pytest.mark.parametrize("way", ["counts of nothing", "removed"])
def test_without_a_count_there_is_none(warm: Site, way: str) -> None:
    pools.put(warm.ports, "lab-a", "desk", ready=2, minutes=60)
    for _ in range(2):  # once more changes nothing
        if way == "removed":
            pools.remove(warm.ports, "lab-a", "desk")
        else:
            assert pools.put(warm.ports, "lab-a", "desk", minutes=30) == Pool(lab="lab-a", profile="desk")
        assert pools.of_lab(warm.ports, "lab-a") == ()
    assert len([what for what in warm.history("lab-a") if "warm pool" in what]) == 2


def test_what_was_changed_is_in_the_audit(warm: Site) -> None:
    pools.put(warm.ports, "lab-a", "desk", paused=3)
    pools.put(warm.ports, "lab-a", "desk", paused=3)  # the same: no line
    pools.put(warm.ports, "lab-a", "desk", paused=5)
    with warm.ports.database.read() as work:
        last, first = (each for each in work.audit.last(10, "lab-a") if "warm pool" in each.what)
    assert (first.what, first.lab) == ("warm pool of desk: 0 ready, 3 paused, 0 prespawned, for 240 minutes", "lab-a")
    assert (last.before, last.after) == ({"paused": 3}, {"paused": 5})


@pytest.mark.parametrize(
    "profile, counts, field, why",
    [
        ("theirs", {"ready": 1}, "profile", "not for the lab lab-a"),
        ("plain", {"paused": 1}, "paused", "does not want them"),
        ("plain", {"prespawned": 1}, "prespawned", "does not want them"),
        ("desk", {"ready": 9}, "ready", "the 8 seats of lab-a"),
        ("desk", {"paused": 7, "prespawned": 2}, "paused", "the 8 seats of lab-a"),
        ("desk", {"paused": -1}, "paused", "must be 0 to"),
        ("desk", {"ready": 1, "minutes": 0}, "minutes", "must be 1 to"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(warm: Site, profile: str, counts: dict[str, int], field: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        pools.put(warm.ports, "lab-a", profile, **counts)
    assert (refused.value.field, pools.of_lab(warm.ports, "lab-a")) == (field, ())


def test_what_fits_is_taken(warm: Site) -> None:
    """The positive control of the refusals: the same, where it may be."""
    profiles.change(warm.ports, "plain", instant_clone=True)
    assert pools.put(warm.ports, "lab-a", "plain", paused=1, prespawned=1).total == 2
    assert pools.put(warm.ports, "lab-b", "theirs", ready=4).ready == 4
    assert pools.put(warm.ports, "lab-a", "desk", paused=4, prespawned=2).total == 6


def test_all_pools_of_a_lab_together_are_no_more_than_its_seats(warm: Site) -> None:
    pools.put(warm.ports, "lab-a", "plain", ready=5)
    with pytest.raises(InvalidInput, match="the 3 seats of lab-a") as refused:
        pools.put(warm.ports, "lab-a", "desk", paused=4)
    assert refused.value.field == "paused"
    assert pools.put(warm.ports, "lab-a", "desk", paused=3).paused == 3
    assert pools.put(warm.ports, "lab-a", "plain", ready=4).ready == 4  # its own count is not another pool's


def test_a_pool_of_a_profile_that_is_off_cannot_be_made_but_goes(warm: Site) -> None:
    pools.put(warm.ports, "lab-a", "plain", ready=1)
    profiles.change(warm.ports, "plain", active=False)
    with pytest.raises(InvalidInput, match="not active"):
        pools.put(warm.ports, "lab-a", "plain", ready=2)
    pools.remove(warm.ports, "lab-a", "plain")
    assert pools.of_lab(warm.ports, "lab-a") == ()


@pytest.mark.parametrize("lab, profile, noun", [("lab-x", "desk", "lab"), ("lab-a", "nothing", "profile")])
def test_of_what_is_not_there(warm: Site, lab: str, profile: str, noun: str) -> None:
    for act in (pools.one, pools.put, pools.remove):
        with pytest.raises(NotFound) as refused:
            act(warm.ports, lab, profile)
        assert refused.value.noun == noun


def test_a_pool_goes_with_its_profile(warm: Site) -> None:
    pools.put(warm.ports, "lab-a", "plain", ready=1)
    profiles.remove(warm.ports, "plain")
    assert pools.of_lab(warm.ports, "lab-a") == ()


def test_what_waits_now(warm: Site) -> None:
    pools.put(warm.ports, "lab-a", "desk", paused=4)
    pools.put(warm.ports, "lab-a", "plain", ready=1)
    now = PoolStatus(lab="lab-a", profile="desk", waiting=((SpareKind.PAUSED, 2),), served=(("clone", 3),), holds="the host is short")
    warm.engine.warm = (now, PoolStatus(lab="lab-b", profile="desk"))
    assert pools.report(warm.ports, "lab-a") == (now,)
    desk, plain = pools.views(warm.ports, "lab-a")
    assert (desk.pool.paused, desk.now) == (4, now)
    assert (plain.pool.ready, plain.now) == (1, PoolStatus(lab="lab-a", profile="plain"))
    warm.engine.away = True
    assert [(each.pool.profile, each.now) for each in pools.views(warm.ports, "lab-a")] == [("desk", None), ("plain", None)]
    with pytest.raises(EngineAway):
        pools.report(warm.ports, "lab-a")


@pytest.mark.parametrize("role", Role)
def test_who_may_change_the_lab_s_settings_may_change_its_pools(warm: Site, role: Role) -> None:
    own, foreign = as_(warm, role, "lab-a"), as_(warm, role, "lab-b")
    assert pools.one(own, "lab-a", "desk").total == 0
    acts = (lambda ports: pools.put(ports, "lab-a", "desk", ready=1), lambda ports: pools.remove(ports, "lab-a", "desk"))
    for act in acts:
        if Right.DESIGN in RIGHTS[role]:
            act(own)
        else:
            with pytest.raises(NotAllowed, match="'design' in lab-a"):
                act(own)
        with pytest.raises(NotFound):
            act(foreign)
    for look in (pools.of_lab, pools.report, pools.views):
        look(own, "lab-a")
        with pytest.raises(NotFound):
            look(foreign, "lab-a")


def test_a_profile_of_labs_that_one_does_not_see_is_not_there(warm: Site) -> None:
    own = as_(warm, Role.LAB_MANAGER, "lab-a")
    with pytest.raises(NotFound):
        pools.put(own, "lab-a", "theirs", ready=1)
    with pytest.raises(InvalidInput):  # who sees it hears why not
        pools.put(warm.ports, "lab-a", "theirs", ready=1)
