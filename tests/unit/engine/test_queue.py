# SPDX-License-Identifier: MIT
"""Whose turn it is, and what the others are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.domain.host import GUEST_OVERHEAD_MIB, Host, HostLoad
from labvirt.engine.queue import Capacity, Pace, fair_order, take_turns

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(lab: str, seat: int, second: int) -> Guest:
    return Guest(
        name=f"{lab}-{seat:02d}",
        lab=lab,
        seat=seat,
        wish=Wish.RUNNING,
        generation=1,
        state=GuestState.WANTED,
        since=T0,
        asked_at=T0 + timedelta(seconds=second),
    )


def capacity(free_mib: int, slots: int = 2, committed: int = 0, running: int = 0, host: Host | None = None) -> Capacity:
    load = HostLoad(memory_total_mib=1 << 16, memory_available_mib=free_mib, cpus=2, disk_free_mib=1 << 20)
    host = host or Host(name="local", memory_reserve_mib=0)
    return Capacity(host=host, load=load, slots=slots, running=running, committed_mib=committed)


def names(guests: tuple[Guest, ...]) -> list[str]:
    return [guest.name for guest in guests]


def test_who_asked_first_comes_first_and_labs_take_turns() -> None:
    big = [waiting("big", seat, seat) for seat in range(1, 6)]
    small = [waiting("small", 1, 100), waiting("small", 2, 99)]
    assert names(fair_order(big)) == ["big-01", "big-02", "big-03", "big-04", "big-05"]
    assert names(fair_order([*small, *big])) == ["big-01", "small-02", "big-02", "small-01", "big-03", "big-04", "big-05"]
    assert names(fair_order([*small, *big], last_lab="big"))[:2] == ["small-02", "big-01"]
    assert fair_order([]) == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30)), unique=True, max_size=40))
def test_nobody_is_lost_and_no_lab_gets_two_turns_while_another_waits(places: list[tuple[str, int]]) -> None:
    guests = [waiting(lab, seat, (seat * 7) % 11) for lab, seat in places]
    ordered = fair_order(guests)
    assert sorted(names(ordered)) == sorted(guest.name for guest in guests)
    for number, guest in enumerate(ordered[1:], start=1):
        rest = {later.lab for later in ordered[number:]}
        assert ordered[number - 1].lab != guest.lab or rest == {guest.lab}


def test_places_are_told_with_an_honest_time() -> None:
    line = fair_order([waiting("lab", seat, seat) for seat in range(1, 8)])
    pace = Pace()
    turn = take_turns(line, capacity(1 << 20), 2, lambda g: 64, pace)
    assert names(turn.admitted) == ["lab-01", "lab-02"]
    assert turn.reasons["lab-03"] == "place 1"
    for seconds in (1.0, 3.0):
        pace.add(seconds)
    turn = take_turns(line, capacity(1 << 20), 2, lambda g: 64, pace)
    assert turn.reasons["lab-03"] == "place 1, about 4 s"  # the round before his, and his own
    assert turn.reasons["lab-07"] == "place 5, about 8 s"


def test_one_step_of_a_long_queue_changes_few_lines_of_it() -> None:
    line = fair_order([waiting("lab", seat, seat) for seat in range(1, 1001)])
    before = take_turns(line, capacity(1 << 20), 2, lambda g: 64, Pace()).reasons
    after = take_turns(line[1:], capacity(1 << 20), 2, lambda g: 64, Pace()).reasons
    assert before["lab-22"] == "place 20"
    assert before["lab-23"] == "place 30 or before"
    assert before["lab-1000"] == "place 1000 or before"
    changed = [name for name in after if after[name] != before.get(name)]
    assert 20 <= len(changed) < 50  # with exact places it would be all 997


def test_a_full_host_says_what_is_missing_and_nobody_overtakes() -> None:
    line = fair_order([waiting("lab", 1, 1), waiting("lab", 2, 2), waiting("lab", 3, 3)])
    memory = {"lab-01": 64, "lab-02": 900, "lab-03": 64}
    turn = take_turns(line, capacity(700, slots=9), 9, lambda g: memory[g.name], Pace())
    assert names(turn.admitted) == ["lab-01"]
    assert turn.reasons["lab-02"].startswith("full: the host local has ")
    assert turn.reasons["lab-03"] == "full: place 2"
    enough = 900 + 2 * 64 + 3 * GUEST_OVERHEAD_MIB
    assert len(take_turns(line, capacity(enough, slots=9), 9, lambda g: memory[g.name], Pace()).admitted) == 3
    short = take_turns(line, capacity(enough, slots=9, committed=1), 9, lambda g: memory[g.name], Pace())
    assert names(short.admitted) == ["lab-01", "lab-02"]  # promised memory counts


def test_a_host_has_a_number_of_guests() -> None:
    line = fair_order([waiting("lab", 1, 1), waiting("lab", 2, 2)])
    host = Host(name="local", memory_reserve_mib=0, max_guests=5)
    turn = take_turns(line, capacity(1 << 20, running=4, host=host), 2, lambda g: 64, Pace())
    assert names(turn.admitted) == ["lab-01"]
    assert turn.reasons["lab-02"] == "full: the host local runs its 5 guests"
