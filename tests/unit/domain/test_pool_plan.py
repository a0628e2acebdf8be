# SPDX-License-Identifier: MIT
"""domain.pool_plan, rule by rule: each refusal beside the same picture without its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labvirt.domain.guest import Guest, GuestState, RunId, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.pool import LONGEST_MINUTES, Pool, Spare, SpareKind
from labvirt.domain.pool_plan import IN_USE, Fill, Seat, Seen, plan_pools
from labvirt.errors import InvalidInput

NOW = datetime(2026, 11, 28, 8, tzinfo=UTC)
POOL = Pool(lab="lab-a", profile="desktop", paused=1)
V1, V2 = (DiskChoice(place=0, image="debian", version=1),), (DiskChoice(place=0, image="debian", version=2),)


def row(number: int = 1, **changes: Any) -> Guest:
    told = {"wish": Wish.STOPPED, "generation": 4, "state": GuestState.STOPPED, "since": NOW, "run": RunId(f"lab-a-{number:02}", 3)}
    return Guest(name=f"lab-a-{number:02}", lab="lab-a", seat=number, **{**told, **changes})


def seat(number: int = 1, **changes: Any) -> Seat:
    told = {"row": row(number), "profile": "desktop", "disks": V1, "template": "desktop.t1"}
    return Seat(lab="lab-a", number=number, guest=f"lab-a-{number:02}", **{**told, **changes})


def spare(number: int = 1, generation: int = 5, **changes: Any) -> Spare:
    told = {"kind": SpareKind.PAUSED, "lab": "lab-a", "profile": "desktop", "since": NOW, "template": "desktop.t1"}
    return Spare(run=RunId(f"lab-a-{number:02}", generation), **{**told, **changes})


def seen(**changes: Any) -> Seen:
    told = {"now": NOW, "pools": (POOL,), "seats": (seat(),), "spares": (spare(),), "waiting": frozenset({spare().run})}
    return Seen(**{**told, **changes})


def test_what_waits_rightly_stays() -> None:
    plan = plan_pools(seen())
    assert (plan.drops, plan.taken, plan.forgotten, plan.fills, dict(plan.holds)) == ((), (), (), (), {})


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"pools": ()}, "no place for it"),
        ({"seats": ()}, "no place for it"),
        ({"seats": (seat(profile="other"),)}, "something else"),
        ({"seats": (seat(active=False),)}, "something else"),
        ({"seats": (seat(template="desktop.t2"),)}, "newer template"),
        ({"seats": (seat(template="", untold="its template is not made yet"),)}, "not made yet"),
        ({"seats": (seat(row=row(generation=6)),)}, "in another way"),
        ({"seats": (seat(row=row(wish=Wish.RUNNING, state=GuestState.WANTED)),)}, "in another way"),
        ({"waiting": frozenset()}, "its process has ended"),
        ({"scarce": "the host is short of memory"}, "short of memory"),
        ({"now": NOW + timedelta(minutes=241)}, "waited for 240 minutes"),
        ({"pools": (replace(POOL, paused=0, ready=1),)}, "no place for it"),
    ],
)
def test_what_does_not_serve_any_more_is_dropped(changes: dict[str, Any], why: str) -> None:
    (drop,) = plan_pools(seen(**changes)).drops
    assert drop.spare == spare()
    assert why in drop.why


def test_of_too_many_the_least_likely_goes() -> None:
    seats = (seat(1, rank=3), seat(2, rank=1))
    spares = (spare(1), spare(2))
    plan = plan_pools(seen(seats=seats, spares=spares, waiting=frozenset(each.run for each in spares)))
    assert [drop.spare.run.guest for drop in plan.drops] == ["lab-a-01"]


def test_a_spare_that_has_become_its_seats_run_is_only_forgotten() -> None:
    served = row(wish=Wish.RUNNING, state=GuestState.RUNNING, generation=5, run=RunId("lab-a-01", 5))
    plan = plan_pools(seen(seats=(seat(row=served),)))
    assert (plan.drops, plan.forgotten) == ((), (spare(),))


def test_a_spare_whose_own_start_is_waited_for_stays_until_it_is_taken() -> None:
    """The row has the very generation that the spare was made for; another one was asked for in another way."""
    asked = row(wish=Wish.RUNNING, state=GuestState.WANTED, generation=5)
    plan = plan_pools(seen(seats=(seat(row=asked),)))
    assert (plan.drops, plan.forgotten) == ((), ())
    assert plan_pools(seen(seats=(seat(row=replace(asked, generation=6)),))).drops


def test_nothing_is_concluded_about_a_guest_that_something_is_done_to() -> None:
    changes: dict[str, Any] = {"waiting": frozenset()}
    assert plan_pools(seen(**changes)).drops
    assert not plan_pools(seen(**changes, busy=frozenset({"lab-a-01"}))).drops
    assert not plan_pools(seen(**changes, busy=frozenset({"lab-a-01"}))).fills


READY = spare(kind=SpareKind.READY, template="")
RUNS = row(wish=Wish.RUNNING, state=GuestState.RUNNING, generation=5, run=RunId("lab-a-01", 5), disks=V1)


def ready(guest: Guest | None = RUNS, **changes: Any) -> Seen:
    pool = replace(POOL, ready=1, paused=0)
    return seen(**{"pools": (pool,), "seats": (seat(row=guest),), "spares": (READY,), "waiting": frozenset(), **changes})


def test_one_that_runs_waits_until_somebody_is_there() -> None:
    assert plan_pools(ready()).taken == ()
    assert plan_pools(ready(taken=frozenset({"lab-a-01"}))).taken == (READY,)
    assert plan_pools(ready(replace(RUNS, state=GuestState.CONNECTED))).taken == (READY,)


def test_one_that_runs_an_older_version_is_dropped_unless_somebody_is_there() -> None:
    newer = (seat(row=RUNS, disks=V2),)
    assert [drop.why for drop in plan_pools(ready(seats=newer)).drops] == ["there is a newer version"]
    assert plan_pools(ready(seats=newer, taken=frozenset({"lab-a-01"}))).drops == ()


@pytest.mark.parametrize("gone", [None, replace(RUNS, generation=6), replace(RUNS, state=GuestState.FAILED), row()])
def test_one_whose_seat_went_its_own_way_is_forgotten(gone: Guest | None) -> None:
    plan = plan_pools(ready(gone))
    assert (plan.forgotten, plan.drops, plan.taken) == ((READY,), (), ())


def empty(**changes: Any) -> Seen:
    told = {"pools": (replace(POOL, ready=1, paused=1, prespawned=1),), "spares": (), "waiting": frozenset()}
    return seen(**{**told, "seats": tuple(seat(number) for number in (1, 2, 3, 4)), **changes})


def fills(found: Seen) -> list[tuple[str, SpareKind]]:
    return [(fill.seat.guest, fill.kind) for fill in plan_pools(found).fills]


def test_the_likeliest_seats_get_what_serves_soonest_and_a_few_at_a_time() -> None:
    seats = (seat(1, rank=5), seat(2, rank=0), seat(3, rank=2), seat(4, rank=9))
    assert fills(empty(seats=seats)) == [("lab-a-02", SpareKind.READY), ("lab-a-03", SpareKind.PAUSED)]


def test_what_is_being_made_counts_and_takes_its_place() -> None:
    making = {"lab-a-01": Fill(seat=seat(1), kind=SpareKind.PAUSED)}
    assert fills(empty(making=making, busy=frozenset({"lab-a-01"}))) == [("lab-a-02", SpareKind.READY)]


@pytest.mark.parametrize(
    "other",
    [
        seat(1, active=False),
        seat(1, profile="other"),
        seat(1, row=row(wish=Wish.RUNNING, state=GuestState.RUNNING)),
        seat(1, row=row(state=GuestState.STOPPING)),
    ],
)
def test_only_a_free_seat_of_the_profile_gets_one(other: Seat) -> None:
    pool = (POOL,)
    assert fills(empty(pools=pool, seats=(seat(1),))) == [("lab-a-01", SpareKind.PAUSED)]
    assert fills(empty(pools=pool, seats=(other,))) == []


def test_a_seat_that_never_had_a_guest_gets_its_first_run() -> None:
    assert seat(row=None).next_run == RunId("lab-a-01", 1)
    assert fills(empty(pools=(POOL,), seats=(seat(row=None),))) == [("lab-a-01", SpareKind.PAUSED)]


@pytest.mark.parametrize(
    "changes",
    [{"occupied": "others wait"}, {"scarce": "others wait"}, {"resting": {("lab-a", "desktop"): "others wait"}}],
)
def test_a_pool_that_has_to_wait_says_why(changes: dict[str, Any]) -> None:
    plan = plan_pools(empty(**changes))
    assert (plan.fills, plan.holds) == ((), {("lab-a", "desktop"): "others wait"})


def test_a_pool_for_more_seats_than_there_are_says_so_and_one_whose_seats_are_used_says_that() -> None:
    pool = (replace(POOL, paused=3),)
    assert dict(plan_pools(empty(pools=pool, seats=(seat(1), seat(2), seat(3)))).holds) == {}
    (why,) = plan_pools(empty(pools=pool, seats=(seat(1), seat(2), seat(3, active=False)))).holds.values()
    assert why == "it is for 3 seats, and 2 have a terminal that would start desktop"
    used = row(3, wish=Wish.RUNNING, state=GuestState.CONNECTED)
    (why,) = plan_pools(empty(pools=pool, seats=(seat(1), seat(2), seat(3, row=used)))).holds.values()
    assert why == IN_USE


def test_without_a_template_only_running_guests_are_made() -> None:
    seats = tuple(seat(number, template="", untold="its template is not made yet") for number in (1, 2, 3))
    plan = plan_pools(empty(seats=seats))
    assert [(fill.seat.guest, fill.kind) for fill in plan.fills] == [("lab-a-01", SpareKind.READY)]
    assert plan.holds == {("lab-a", "desktop"): "its template is not made yet"}


@pytest.mark.parametrize(
    "field, value", [("ready", -1), ("paused", 100_000), ("minutes", 0), ("minutes", LONGEST_MINUTES + 1), ("prespawned", 100_000)]
)
def test_a_pool_says_which_number_is_wrong(field: str, value: int) -> None:
    with pytest.raises(InvalidInput, match=field):
        Pool(lab="lab-a", profile="desktop", **{field: value})
    assert Pool(lab="lab-a", profile="desktop", **{field: 5})
