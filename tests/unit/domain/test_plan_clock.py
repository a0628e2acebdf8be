# SPDX-License-Identifier: MIT
"""The rules that look at the wall clock, at how much was written, and at what becomes of it after a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from labvirt.domain import actions as act
from labvirt.domain.guest import Due, GuestState, Purpose, RunId, StopHow
from labvirt.domain.lab import OnLeave
from labvirt.domain.living import OLD_AT_ONCE
from labvirt.domain.observed import ObservedRun, RunState
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from tests.unit.domain.test_plan import LAB, T0, Plan, codes, kinds, look, running

RUN = RunId("lab-01", 1)
PROFILE = Profile(name="tiny", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),))


def profiles(**more: object) -> dict[str, Profile]:
    return {"tiny": replace(PROFILE, **more)}  # type: ignore[arg-type]


# --- what was told to whoever sits there


@pytest.mark.parametrize("due, kind", [(Due.FRESH, act.Refresh), (Due.STOP, act.Retire)])
def test_what_was_told_happens_when_its_time_has_come_and_not_before(due: Due, kind: type) -> None:
    row = running().with_due(due, T0 + timedelta(seconds=60), "soon")
    early = look([row], [RUN], wall=T0)
    assert kinds(early) == []
    assert early.wake == 160.0
    assert look([row], [RUN]).actions == ()  # nobody looked at the clock
    for state in RunState:
        late = look([row], [ObservedRun(run=RUN, state=state, viewed=True)], wall=T0 + timedelta(seconds=60))
        assert kinds(late) == [kind]
    assert kinds(look([row.wanted(T0, fresh=True)], [RUN], wall=T0 + timedelta(days=1))) == [act.Stop]  # the wish has moved on


def test_many_that_were_told_go_together() -> None:
    rows = [running(seat).with_due(Due.STOP, T0, "now") for seat in range(1, 31)]
    planned = look(rows, [RunId(f"lab-{seat:02d}", 1) for seat in range(1, 31)], wall=T0)
    assert kinds(planned) == [act.Retire] * 30
    assert codes(planned) == set()


def test_who_was_told_to_go_and_died_before_is_not_started_again() -> None:
    row = replace(running(), state=GuestState.WANTED, failures=1).with_due(Due.STOP, T0, "now")
    assert kinds(look([row], [], wall=T0)) == [act.Retire]
    assert kinds(look([row], [], wall=T0 - timedelta(seconds=1))) == []  # its pause goes on
    assert kinds(look([replace(row, failures=0)], [], wall=T0 - timedelta(seconds=1))) == [act.Start]


# --- age


def old(seat: int = 1, **more: object) -> object:
    return running(seat, profile="tiny", started_at=T0, **more)


def aged(rows: list[object], days: float, **more: object) -> Plan:
    runs = [RunId(row.name, 1) for row in rows if row.alive]  # type: ignore[attr-defined]
    return look(rows, runs, wall=T0 + timedelta(days=days), profiles=profiles(restart_days=14), **more)  # type: ignore[arg-type]


def test_a_guest_that_has_run_for_its_days_gets_a_fresh_run_when_nobody_looks() -> None:
    assert kinds(aged([old()], 13.9)) == []
    late = aged([old()], 14)
    assert kinds(late) == [act.Refresh]
    assert "it has run for 14 days" in late.actions[0].why  # type: ignore[union-attr]
    viewed = ObservedRun(run=RUN, state=RunState.RUNNING, viewed=True)
    assert kinds(look([old(state=GuestState.CONNECTED)], [viewed], wall=T0 + timedelta(days=99), profiles=profiles(restart_days=14))) == []  # type: ignore[list-item]
    assert kinds(aged([old(purpose=Purpose.ADMIN)], 99)) == []
    assert look([old()], [RUN], wall=T0 + timedelta(days=99), profiles=profiles()).actions == ()  # type: ignore[list-item]


def test_each_guest_is_measured_by_its_own_profile_and_its_own_age() -> None:
    """The original read the age of every machine from its second profile."""
    named = {name: replace(PROFILE, name=name, restart_days=days) for name, days in (("first", 3), ("second", 30), ("third", None))}
    rows = [running(seat, profile=name, started_at=T0) for seat, name in enumerate(named, 1)]
    rows.append(running(4, profile="first", started_at=T0 + timedelta(days=4)))
    runs = [RunId(row.name, 1) for row in rows]

    def replaced(days: int) -> list[str]:
        planned = look(rows, runs, wall=T0 + timedelta(days=days), profiles=named)
        return [action.guest for action in planned.actions]  # type: ignore[union-attr]

    assert replaced(2) == []
    assert replaced(5) == ["lab-01"]
    assert sorted(replaced(31)) == ["lab-01", "lab-02", "lab-04"]


def test_few_are_replaced_for_their_age_at_a_time() -> None:
    rows = [old(seat) for seat in range(1, 21)]
    assert len(aged(rows, 15).actions) == OLD_AT_ONCE
    coming = [old(seat, state=GuestState.STARTING, run=RunId(f"lab-{seat:02d}", 1)) for seat in (1, 2)]
    planned = look(
        [*coming, *rows[2:]],  # type: ignore[list-item]
        [RunId(f"lab-{seat:02d}", 1) for seat in range(1, 21)],
        wall=T0 + timedelta(days=15),
        profiles=profiles(restart_days=14),
        awaiting=frozenset({RunId("lab-01", 1), RunId("lab-02", 1)}),
    )
    assert len(planned.actions) == OLD_AT_ONCE - 2


# --- viewers of special guests


def test_an_admin_session_outlives_its_viewer() -> None:
    lab = replace(LAB, on_leave=OnLeave.RESET, leave_grace_seconds=0)
    for purpose, wanted in ((Purpose.ADMIN, []), (Purpose.SEAT, [act.Refresh])):
        row = running(state=GuestState.CONNECTED, purpose=purpose)
        planned = look([row], [RUN], lab=lab)
        assert [kind for kind in kinds(planned) if kind is not act.Note] == wanted


# --- the cap


def paused(reason: str = "", *, capped: bool = False) -> ObservedRun:
    return ObservedRun(run=RUN, state=RunState.PAUSED, reason=reason, capped=capped)


def test_who_has_written_as_much_as_it_may_is_not_resumed_and_told_why() -> None:
    row = running(profile="tiny")
    planned = look([row], [paused("x", capped=True)], profiles=profiles(overlay_cap_mib=512))
    (note,) = planned.actions
    assert isinstance(note, act.Note)
    assert note.state is GuestState.PAUSED
    assert note.reason.startswith("it has written 512 MiB, as much as it may; ")
    assert "labvirt guest fresh lab-01" in note.reason
    told = replace(row, state=GuestState.PAUSED, reason=note.reason)
    assert look([told], [paused("x", capped=True)], profiles=profiles(overlay_cap_mib=512)).actions == ()
    assert kinds(look([replace(told, reason="x")], [paused("x")], profiles=profiles(overlay_cap_mib=512))) == [act.Resume]  # the control


def test_drivers_that_do_not_look_at_the_cap_are_helped() -> None:
    row, cap = running(profile="tiny"), profiles(overlay_cap_mib=512)
    much, little = {RUN: (512 << 20) + 1}, {RUN: 512 << 20}
    assert kinds(look([row], [RUN], profiles=cap, written=little)) == []
    assert kinds(look([row], [RUN], profiles=cap, written=None)) == []
    assert kinds(look([row], [RUN], profiles=profiles(), written=much)) == []
    assert kinds(look([replace(row, purpose=Purpose.ADMIN)], [RUN], profiles=cap, written=much)) == []
    stopped = look([row], [RUN], profiles=cap, written=much)
    assert kinds(stopped) == [act.Pause]
    quick = look([row], [paused("paused by us")], profiles=cap, written={}, memory=stopped.memory)  # a round without a look at folders
    assert [type(action) for action in quick.actions] == [act.Note]
    assert quick.actions[0].reason == stopped.actions[0].reason  # type: ignore[union-attr]
    said = replace(row, state=GuestState.PAUSED, reason="paused by us")
    assert look([said], [paused("paused by us")], profiles=cap, written={}).actions == ()  # a new engine does not know yet
    assert [type(action) for action in look([said], [paused("paused by us")], profiles=cap, written=much).actions] == [act.Note]
    assert kinds(look([said], [paused("paused by us")], profiles=cap, written=little)) == [act.Resume]


# --- what was written


def kept(row: object, run: RunId = RUN, *, keeps: bool = True) -> list[object]:
    planned = look([row], [], folders=frozenset({run}), keeps=keeps)  # type: ignore[list-item]
    return [action for action in planned.actions if isinstance(action, act.KeepRun | act.RemoveRun)]


def test_what_a_seat_has_written_is_kept_and_what_a_session_or_a_canary_has_is_not() -> None:
    off = replace(running().unwanted(StopHow.STOP), state=GuestState.STOPPED)
    assert kept(off) == [act.KeepRun(guest="lab-01", generation=2, run=RUN, why="stopped")]
    assert kept(off, keeps=False) == [act.RemoveRun(guest="lab-01", generation=2, run=RUN)]
    assert len(kept(replace(off, purpose=Purpose.RESCUE))) == 1
    for purpose in (Purpose.ADMIN, Purpose.CANARY):
        assert kept(replace(off, purpose=purpose)) == [act.RemoveRun(guest="lab-01", generation=2, run=RUN)]


def test_what_was_written_is_kept_of_crashed_and_of_older_runs() -> None:
    crashed = running(state=GuestState.FAILED)
    assert kept(crashed) == [act.KeepRun(guest="lab-01", generation=1, run=RUN, why="crashed")]
    assert kept(crashed, keeps=False) == []  # without a place to keep it, it stays where it is until somebody asks again
    newer = running(generation=3, state=GuestState.WANTED)
    assert kept(newer) == [act.KeepRun(guest="lab-01", generation=3, run=RUN, why="fresh")]
    assert kept(running(generation=3, state=GuestState.WANTED), RunId("lab-01", 3)) == []
    living = look([running(generation=3)], [RUN, RunId("lab-01", 3)], folders=frozenset({RUN}), keeps=True)
    assert not [action for action in living.actions if isinstance(action, act.KeepRun)]
