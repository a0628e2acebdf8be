# SPDX-License-Identifier: MIT
"""Whose turn it is, and what the others are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from labvirt.domain.attendance import AGE_SECONDS, Attendance, attendance, rank
from labvirt.domain.guest import Guest, GuestState, Purpose, Wish
from labvirt.domain.host import GUEST_OVERHEAD_MIB, Host, HostLoad
from labvirt.engine.queue import Capacity, InLine, Turn, fair_order, take_turns, told
from labvirt.usecases.start_times import told_seconds

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


def capacity(
    free_mib: int, free: float = 2, committed: int = 0, running: int = 0, host: Host | None = None, idle: bool = False
) -> Capacity:
    load = HostLoad(memory_total_mib=1 << 16, memory_available_mib=free_mib, cpus=2, disk_free_mib=1 << 20)
    host = host or Host(name="local", memory_reserve_mib=0)
    return Capacity(host=host, load=load, free=free, running=running, committed_mib=committed, idle=idle)


def names(guests: tuple[Guest, ...]) -> list[str]:
    return [guest.name for guest in guests]


def said(turn: Turn, seconds: float | None = None) -> dict[str, str]:
    return dict(told(turn.line, [seconds] * len(turn.line)))


def test_who_asked_first_comes_first_and_labs_take_turns() -> None:
    big = [waiting("big", seat, seat) for seat in range(1, 6)]
    small = [waiting("small", 1, 100), waiting("small", 2, 99)]
    assert names(fair_order(big)) == ["big-01", "big-02", "big-03", "big-04", "big-05"]
    assert names(fair_order([*small, *big])) == ["big-01", "small-02", "big-02", "small-01", "big-03", "big-04", "big-05"]
    assert names(fair_order([*small, *big], last_lab="big"))[:2] == ["small-02", "big-01"]
    assert fair_order([]) == ()


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30)), unique=True, max_size=40))
def test_nobody_is_lost_and_no_lab_gets_two_turns_while_another_waits(places: list[tuple[str, int]]) -> None:
    guests = [waiting(lab, seat, (seat * 7) % 11) for lab, seat in places]
    ordered = fair_order(guests)
    assert sorted(names(ordered)) == sorted(guest.name for guest in guests)
    for number, guest in enumerate(ordered[1:], start=1):
        rest = {later.lab for later in ordered[number:]}
        assert ordered[number - 1].lab != guest.lab or rest == {guest.lab}


def test_a_clone_needs_room_for_all_of_its_memory_and_takes_a_fourth_of_it() -> None:
    line = [waiting("a", seat, seat) for seat in range(1, 5)]
    whole, clones = (
        take_turns(line, capacity(3 * (400 + GUEST_OVERHEAD_MIB) - 1, free=9), lambda g: 400, clone=clone)
        for clone in (lambda g: False, lambda g: True)
    )
    assert (len(whole.admitted), len(clones.admitted)) == (2, 4)
    assert not take_turns(line, capacity(400 + GUEST_OVERHEAD_MIB - 1, free=9), lambda g: 400, clone=lambda g: True).admitted


def test_who_has_somebody_in_front_comes_first_and_labs_take_turns_among_equals() -> None:
    guests = [waiting("a", seat, seat) for seat in (1, 2, 3, 4)] + [waiting("b", seat, 10 + seat) for seat in (1, 2)]
    in_front = {"a-03", "a-04", "b-02"}
    ordered = names(fair_order(guests, rank=lambda guest: 0 if guest.name in in_front else 1))
    assert ordered == ["a-03", "b-02", "a-04", "b-01", "a-01", "a-02"]
    assert names(fair_order(guests))[:2] == ["a-01", "b-01"]


def test_what_is_known_of_a_terminal_says_who_is_in_front() -> None:
    guest = waiting("a", 1, 0)
    with_terminal = Guest(**{field: getattr(guest, field) for field in Guest.__slots__} | {"terminal": "pc1"})

    def of(
        guest: Guest = with_terminal, touched: float | None = None, woken: float | None = None, heard: float | None = None
    ) -> Attendance:
        return attendance(guest, touched=touched, woken=woken, heard=heard)

    assert of() is Attendance.ASKS  # a program of which nothing is known
    assert of(heard=5) is Attendance.ASKS
    assert of(heard=300) is Attendance.NOBODY  # its kiosk is off: the guest is started ahead of need
    assert of(touched=5, heard=300) is Attendance.IN_FRONT
    assert of(touched=500) is Attendance.ASKS
    assert of(woken=100, heard=5) is Attendance.NOBODY
    assert of(woken=100, heard=5, touched=10) is Attendance.IN_FRONT
    assert of(woken=100, heard=5, touched=90) is Attendance.ASKS  # somebody came after it was woken
    assert of(woken=5000, heard=5) is Attendance.ASKS
    assert of(guest) is Attendance.NOBODY  # a seat without a terminal
    for purpose, place in ((Purpose.ADMIN, Attendance.IN_FRONT), (Purpose.CANARY, Attendance.ASKS), (Purpose.TEMPLATE, Attendance.NOBODY)):
        fields = {field: getattr(guest, field) for field in Guest.__slots__}
        assert of(Guest(**fields | {"purpose": purpose})) is place


def test_nobody_waits_for_ever_behind_those_who_come_later() -> None:
    """One start a second; each second somebody sits down and presses a key."""
    old = waiting("a", 1, 0)
    line, served, now = [old], [], 0
    while old not in served:
        now += 1
        line.append(waiting("b", now % 4000 + 1, now))

        def place(guest: Guest, now: int = now) -> int:
            waited = (T0 + timedelta(seconds=now) - (guest.asked_at or T0)).total_seconds()
            return rank(Attendance.NOBODY if guest is old else Attendance.IN_FRONT, waited)

        served.append(line.pop(line.index(fair_order(line, rank=place)[0])))
        assert now <= 2 * AGE_SECONDS + 2
    assert len(served) > AGE_SECONDS  # and those who sit there did come first


def test_places_are_told_with_a_time_where_it_is_known() -> None:
    line = fair_order([waiting("lab", seat, seat) for seat in range(1, 8)])
    turn = take_turns(line, capacity(1 << 20), lambda g: 64)
    assert names(turn.admitted) == ["lab-01", "lab-02"]
    assert said(turn)["lab-03"] == "place 1"
    reasons = told(turn.line, [3.2, 4.0, None, 1000.0, 12.5])
    assert [reasons[f"lab-0{seat}"] for seat in range(3, 8)] == [
        "place 1, about 4 s",
        "place 2, about 4 s",
        "place 3",
        "place 4, about 1020 s",
        "place 5, about 15 s",
    ]


def test_what_is_told_is_understood_as_seconds() -> None:
    line = [InLine(guest=waiting("lab", seat, seat), place=seat) for seat in range(1, 40)]
    for seconds, first, last in ((7.2, 8, 8), (95.0, 120, 120), (700.0, 720, 720)):
        reasons = told(line, [seconds] * len(line))
        assert (told_seconds(reasons["lab-01"]), told_seconds(reasons["lab-39"])) == (first, last)
    for silent in ("place 3", "full: place 3", "its start was interrupted", "full: place 3: the host has about 10 s"):
        assert told_seconds(silent) is None


def test_one_step_of_a_long_queue_changes_few_lines_of_it() -> None:
    line = fair_order([waiting("lab", seat, seat) for seat in range(1, 1001)])
    before = said(take_turns(line, capacity(1 << 20), lambda g: 64))
    after = said(take_turns(line[1:], capacity(1 << 20), lambda g: 64))
    assert before["lab-22"] == "place 20"
    assert before["lab-23"] == "place 30 or before"
    assert before["lab-1000"] == "place 1000 or before"
    assert said(take_turns(line, capacity(1 << 20), lambda g: 64), 44.0)["lab-23"] == "place 30 or before, at most about 50 s"
    changed = [name for name in after if after[name] != before.get(name)]
    assert 20 <= len(changed) < 50  # with exact places it would be all 997


def test_a_full_host_says_what_is_missing_and_nobody_overtakes() -> None:
    line = fair_order([waiting("lab", 1, 1), waiting("lab", 2, 2), waiting("lab", 3, 3)])
    memory = {"lab-01": 64, "lab-02": 900, "lab-03": 64}
    turn = take_turns(line, capacity(700, free=9), lambda g: memory[g.name])
    assert names(turn.admitted) == ["lab-01"]
    reasons = said(turn, 5.0)
    assert reasons["lab-02"].startswith("full: place 1: the host local has about ")
    assert reasons["lab-03"] == "full: place 2"  # and no time: that depends on others
    enough = 900 + 2 * 64 + 3 * GUEST_OVERHEAD_MIB
    assert len(take_turns(line, capacity(enough, free=9), lambda g: memory[g.name]).admitted) == 3
    short = take_turns(line, capacity(enough, free=9, committed=1), lambda g: memory[g.name])
    assert names(short.admitted) == ["lab-01", "lab-02"]  # promised memory counts


def test_a_host_has_a_number_of_guests() -> None:
    line = fair_order([waiting("lab", 1, 1), waiting("lab", 2, 2)])
    host = Host(name="local", memory_reserve_mib=0, max_guests=5)
    turn = take_turns(line, capacity(1 << 20, running=4, host=host), lambda g: 64)
    assert names(turn.admitted) == ["lab-01"]
    assert said(turn)["lab-02"] == "full: place 1: the host local runs its 5 guests"


def test_light_starts_share_a_place_and_a_heavy_one_waits_for_room_but_not_for_ever() -> None:
    line = fair_order([waiting("lab", seat, seat) for seat in range(1, 11)])
    light = take_turns(line, capacity(1 << 20, free=2), lambda g: 64, lambda g: 0.25)
    assert len(light.admitted) == 8
    heavy = {"lab-02": 3.0}
    weigh = lambda g: heavy.get(g.name, 1.0)  # noqa: E731
    assert names(take_turns(line, capacity(1 << 20, free=2), lambda g: 64, weigh).admitted) == ["lab-01"]  # nobody overtakes
    assert names(take_turns(line[1:], capacity(1 << 20, free=2), lambda g: 64, weigh).admitted) == []
    assert names(take_turns(line[1:], capacity(1 << 20, free=2, idle=True), lambda g: 64, weigh).admitted) == ["lab-02"]
    assert names(take_turns(line, capacity(1 << 20, free=0, idle=True), lambda g: 64).admitted) == []  # nothing may start at all
