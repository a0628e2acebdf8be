# SPDX-License-Identifier: MIT
"""The table of a guest's states, its wishes and generations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.guest import TRANSITIONS, Guest, GuestState, RunId, StopHow, Wish
from labvirt.errors import Conflict, InvalidInput

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LATER = NOW + timedelta(seconds=9)
GUEST = Guest(name="lab-a-01", lab="lab-a", seat=1, wish=Wish.RUNNING, generation=1, state=GuestState.WANTED, since=NOW)
ALIVE = {GuestState.RUNNING, GuestState.CONNECTED, GuestState.PAUSED, GuestState.SILENT}

ALLOWED = """
wanted     starting running connected paused silent stopped failed
starting   wanted running connected paused silent stopping stopped failed
running    wanted connected paused silent stopping stopped failed
connected  wanted running paused silent stopping stopped failed
paused     wanted running connected silent stopping stopped failed
silent     wanted running connected paused stopping stopped failed
stopping   wanted running connected paused silent stopped failed
stopped    wanted running connected paused silent
failed     wanted running connected paused silent stopped stopping
"""
"""Written down a second time, so that a change of the table is a decision."""
TABLE = {GuestState(line.split()[0]): {GuestState(word) for word in line.split()[1:]} for line in ALLOWED.strip().splitlines()}


@pytest.mark.parametrize("before", GuestState)
@pytest.mark.parametrize("after", GuestState)
def test_every_transition(before: GuestState, after: GuestState) -> None:
    guest = replace(GUEST, state=before)
    if after is before:
        assert guest.moved(after, LATER) is guest
        assert guest.moved(after, LATER, "why") == replace(guest, reason="why")
    elif after in TABLE[before]:
        moved = guest.moved(after, LATER, "why")
        assert moved == replace(guest, state=after, since=LATER, reason="why")
    else:
        with pytest.raises(Conflict, match=f"from {before} to {after}"):
            guest.moved(after, LATER)


def test_every_state_is_in_the_table_and_may_come_alive() -> None:
    assert set(TRANSITIONS) == set(GuestState) == set(TABLE)
    for state in GuestState:
        assert ALIVE - {state} <= TRANSITIONS[state]
        assert replace(GUEST, state=state).alive is (state in ALIVE)


def test_only_wanted_guests_that_run_are_ready() -> None:
    ready = {(wish, state) for wish in Wish for state in GuestState if replace(GUEST, wish=wish, state=state).ready}
    assert ready == {(Wish.RUNNING, GuestState.RUNNING), (Wish.RUNNING, GuestState.CONNECTED)}


@pytest.mark.parametrize("state", GuestState)
def test_wanting_what_is_wanted_changes_nothing_and_what_is_over_begins_anew(state: GuestState) -> None:
    guest = replace(GUEST, state=state, terminal="pc-01", failures=3)
    again = guest.wanted(LATER)
    if state in (GuestState.FAILED, GuestState.STOPPED):
        assert (again.generation, again.state, again.since, again.failures) == (2, GuestState.WANTED, LATER, 3)
    else:
        assert again is guest
        assert guest.wanted(LATER, terminal="pc-02") == replace(guest, terminal="pc-02")
    fresh = guest.wanted(LATER, fresh=True)
    assert (fresh.generation, fresh.state, fresh.failures, fresh.terminal) == (2, GuestState.WANTED, 0, "pc-01")


wishes = st.lists(
    st.one_of(
        st.sampled_from(StopHow).map(lambda how: ("stop", how)),
        st.booleans().map(lambda fresh: ("want", fresh)),
        st.sampled_from(GuestState).map(lambda s: ("move", s)),
    ),
    max_size=30,
)


@given(wishes)
def test_every_change_of_the_wish_bumps_the_generation_and_nothing_else_does(steps: list[tuple[str, object]]) -> None:
    guest = GUEST
    for verb, word in steps:
        before = guest
        if verb == "stop":
            assert isinstance(word, StopHow)
            guest = guest.unwanted(word)
            assert guest.wish is Wish.STOPPED
            assert guest.state is before.state
        elif verb == "want":
            guest = guest.wanted(LATER, fresh=bool(word))
            assert guest.wish is Wish.RUNNING
            assert guest.state is before.state or guest.state is GuestState.WANTED
            assert guest.state is before.state or guest.state in TRANSITIONS[before.state]
        elif word in TRANSITIONS[before.state]:
            assert isinstance(word, GuestState)
            guest = guest.moved(word, LATER)
            assert guest.generation == before.generation
        changed = (guest.wish, guest.stop_how) != (before.wish, before.stop_how) if verb == "stop" else guest.wish is not before.wish
        assert guest.generation in (before.generation, before.generation + 1)
        if changed:
            assert guest.generation == before.generation + 1


def test_a_stronger_stop_replaces_a_weaker_one_only() -> None:
    for first in StopHow:
        for second in StopHow:
            order = list(StopHow)
            guest = GUEST.unwanted(first)
            again = guest.unwanted(second)
            if order.index(second) > order.index(first):
                assert (again.stop_how, again.generation) == (second, 3)
            else:
                assert again is guest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lab-a-01",
        "lab-a-01.g0",
        "lab-a-01.g01",
        "lab-a-01.g1234567890",
        "../x.g1",
        "lab.g1.g2",
        "Lab.g1",
        "lab-a-01.g1\n",
        "a" * 52 + ".g1",
    ],
)
def test_names_of_runs(text: str) -> None:
    assert RunId.parse("lab-a-01.g3") == RunId("lab-a-01", 3)
    with pytest.raises(InvalidInput):
        RunId.parse(text)


@pytest.mark.parametrize("guest, generation", [("x", 0), ("x", -1), ("../x", 1), ("x.g1", 1)])
def test_a_run_cannot_be_made_with_a_name_that_is_none(guest: str, generation: int) -> None:
    with pytest.raises(InvalidInput):
        RunId(guest, generation)
