# SPDX-License-Identifier: MIT
"""Everybody has a place in a room, and no two have the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.room import DEEPEST, WIDEST, Room, SeatPlace, plan
from labvirt.errors import InvalidInput


def at(seat: int, x: int, y: int, room: str = "") -> SeatPlace:
    return SeatPlace(lab="lab-a", seat=seat, room=room, x=x, y=y)


def test_a_lab_that_nobody_drew_is_read_in_rows() -> None:
    (only,) = plan("lab-a", (), (), range(1, 11))
    assert [(place.seat, place.x, place.y) for place in only.places][:9] == [(n, n, 1) for n in range(1, 9)] + [(9, 1, 2)]
    assert (only.columns, only.rows) == (8, 2)


def test_who_has_a_place_keeps_it_and_the_others_go_around() -> None:
    (only,) = plan("lab-a", (), (at(3, 1, 1),), (1, 2, 3))
    assert {place.seat: (place.x, place.y) for place in only.places} == {3: (1, 1), 1: (2, 1), 2: (3, 1)}


def test_rooms_by_position_and_a_room_that_is_gone() -> None:
    rooms = (Room(lab="lab-a", name="north", position=2), Room(lab="lab-a", name="south", position=1))
    south, north = plan("lab-a", rooms, (at(1, 4, 4, "north"), at(2, 1, 1, "cellar")), (1, 2))
    assert [place.seat for place in north.places] == [1]
    assert [(place.seat, place.room) for place in south.places] == [(2, "south")]


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, WIDEST), st.integers(1, DEEPEST)), max_size=40),
    st.sets(st.integers(1, 300), max_size=300),
)
def test_nobody_is_left_out_and_nobody_shares(placed: list[tuple[int, int, int]], seats: set[int]) -> None:
    plans = plan("lab-a", (), [at(*each) for each in placed], seats)
    places = [place for each in plans for place in each.places]
    assert {place.seat for place in places} == seats
    assert len({(place.room, place.x, place.y) for place in places}) == len(places)


@pytest.mark.parametrize("x, y", [(0, 1), (1, 0), (WIDEST + 1, 1), (1, DEEPEST + 1)])
def test_a_place_outside_of_every_room(x: int, y: int) -> None:
    with pytest.raises(InvalidInput):
        at(1, x, y)
    assert at(1, WIDEST, DEEPEST).x == WIDEST
