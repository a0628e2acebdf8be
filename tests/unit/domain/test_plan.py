# SPDX-License-Identifier: MIT
"""The rules of the engine, tried on examples and on random worlds that carry the plans out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labvirt.domain import actions as act
from labvirt.domain.addresses import LAST_SEAT, AddressPlan
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow, Wish
from labvirt.domain.lab import Lab, OnLeave
from labvirt.domain.living import BUTTON_PRESSES, CONFIRM_SECONDS, RESUMES
from labvirt.domain.observed import Memory, Observation, ObservedPorts, ObservedRun, RunState
from labvirt.domain.plan import Limits, Plan, plan

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LAB = Lab(name="lab", block=0, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=60)


def guest(seat: int = 1, **more: object) -> Guest:
    plain = Guest(name=f"lab-{seat:02d}", lab="lab", seat=seat, wish=Wish.RUNNING, generation=1, state=GuestState.WANTED, since=T0)
    return replace(plain, **more)  # type: ignore[arg-type]


def running(seat: int = 1, generation: int = 1, **more: object) -> Guest:
    run = RunId(f"lab-{seat:02d}", generation)
    return guest(seat, **{"state": GuestState.RUNNING, "generation": generation, "run": run, **more})


def look(
    guests: Sequence[Guest] | None,
    runs: Sequence[RunId | ObservedRun] | None,
    now: float = 100.0,
    memory: Memory = Memory(),  # noqa: B008 - frozen
    lab: Lab = LAB,
    **more: object,
) -> Plan:
    observed = None
    if runs is not None:
        observed = tuple(r if isinstance(r, ObservedRun) else ObservedRun(run=r, state=RunState.RUNNING) for r in runs)
    seen = Observation(
        now=now,
        guests=None if guests is None else tuple(guests),
        runs=observed,
        labs={"lab": lab},
        **more,  # type: ignore[arg-type]
    )
    return plan(seen, memory, Limits(attempts=4))


def kinds(planned: Plan) -> list[type]:
    return [type(action) for action in planned.actions]


def codes(planned: Plan) -> set[str]:
    return {finding.code for finding in planned.findings}


def takes_away(planned: Plan) -> list[act.Action]:
    return [action for action in planned.actions if isinstance(action, act.Stop | act.RemoveRun | act.KeepRun | act.Unplug)]


# --- missing evidence


@pytest.mark.parametrize("guests, runs", [(None, [RunId("lab-01", 1)]), ([running()], None), (None, None)])
def test_what_could_not_be_known_is_not_concluded_from(guests: list[Guest] | None, runs: list[RunId] | None) -> None:
    assert look(guests, runs).actions == ()
    assert look([running()], []).actions != ()  # the control: known to be gone


def test_an_empty_database_destroys_nothing_and_says_so() -> None:
    living = [RunId(f"lab-{seat:02d}", 3) for seat in range(1, 41)]
    folders = frozenset(living) | {RunId("lab-41", 2)}
    ports = ObservedPorts(taps=frozenset({LAB.plan.tap(1), LAB.plan.tap(50)}), filtered=frozenset())
    for now in (100.0, 200.0, 300.0):
        planned = look([], living, now=now, folders=folders, ports=ports)
        assert set(kinds(planned)) == {act.Quarantine}
        assert codes(planned) == {"run-without-row", "database-empty", "folder-without-row", "tap-without-guest"}
        assert all(finding.subject or finding.code == "database-empty" for finding in planned.findings)


def test_an_older_database_adopts_what_is_wanted_and_keeps_the_rest() -> None:
    wanted = look([running(generation=2)], [RunId("lab-01", 7)])
    assert wanted.actions == (act.Adopt(guest="lab-01", generation=2, run=RunId("lab-01", 7), state=GuestState.RUNNING),)
    unwanted = running(generation=2, wish=Wish.STOPPED, state=GuestState.STOPPED)
    for now in (100.0, 200.0):
        kept = look([unwanted], [RunId("lab-01", 7)], now=now, memory=Memory())
        assert kinds(kept) == [act.Quarantine]
        assert codes(kept) == {"run-newer-than-row"}


def test_a_row_without_a_run_proves_nothing() -> None:
    planned = look([guest(generation=5)], [RunId("lab-01", 3)])
    assert kinds(planned) == [act.Quarantine]
    assert codes(planned) == {"run-unknown"}


# --- left-overs


def test_a_left_over_is_stopped_after_two_observations_and_not_before() -> None:
    row = running(generation=5)
    old, new = RunId("lab-01", 3), RunId("lab-01", 5)
    first = look([row], [old, new], now=100.0)
    assert takes_away(first) == []
    assert codes(first) == {"run-left-over"}
    assert first.wake == 100.0 + CONFIRM_SECONDS
    soon = look([row], [old, new], now=101.0, memory=first.memory)
    assert takes_away(soon) == []
    late = look([row], [old, new], now=102.5, memory=soon.memory)
    assert [(a.run, a.own, a.how) for a in late.actions if isinstance(a, act.Stop)] == [(old, False, StopHow.STOP)]


def test_suspicion_must_be_without_a_gap() -> None:
    row, old, new = running(generation=5), RunId("lab-01", 3), RunId("lab-01", 5)
    first = look([row], [old, new], now=100.0)
    gap = look([row], [new], now=101.0, memory=first.memory)
    again = look([row], [old, new], now=103.0, memory=gap.memory)
    assert takes_away(again) == []
    busy = look([row], [old, new], now=103.0, memory=first.memory, busy=frozenset({"lab-01"}))
    assert takes_away(look([row], [old, new], now=104.0, memory=busy.memory)) == []


def left_overs(count: int, others: int = 0) -> tuple[list[Guest], list[RunId]]:
    rows = [running(seat, generation=5) for seat in range(1, count + others + 1)]
    olds = [RunId(row.name, 3) for row in rows[:count]]
    return rows, olds + [row.run for row in rows if row.run]


def test_the_brake_holds_many_and_lets_few_go() -> None:
    for count, held in [(3, False), (4, True), (40, True)]:
        rows, runs = left_overs(count)
        first = look(rows, runs, now=100.0)
        late = look(rows, runs, now=103.0, memory=first.memory)
        assert len(takes_away(late)) == (0 if held else count)
        assert ("mass-stop-held" in codes(late)) == held


def test_the_brake_looks_at_the_share_and_at_the_last_minute() -> None:
    rows, runs = left_overs(5, others=50)
    first = look(rows, runs, now=100.0)
    assert len(takes_away(look(rows, runs, now=103.0, memory=first.memory))) == 5  # of 60 living
    rows, runs = left_overs(3)
    memory = look(rows, runs, now=100.0, memory=Memory(braked_stops=(60.0,))).memory
    held = look(rows, runs, now=103.0, memory=memory)
    assert takes_away(held) == []
    assert held.wake == 120.0
    assert len(takes_away(look(rows, runs, now=121.0, memory=held.memory))) == 3


def test_a_fresh_wish_of_a_person_is_not_braked() -> None:
    rows, runs = left_overs(10)
    first = look(rows, runs, now=100.0)
    held = look(rows, runs, now=103.0, memory=first.memory)
    assert takes_away(held) == []
    asked = [row.wanted(T0, fresh=True) for row in rows]
    released = look(asked, runs, now=104.0, memory=held.memory)
    assert len([a for a in takes_away(released) if isinstance(a, act.Stop) and not a.own]) == 10


# --- wishes


def test_a_wish_that_moved_on_stops_its_own_run_at_once() -> None:
    stop = running().unwanted(StopHow.KILL)
    planned = look([stop], [RunId("lab-01", 1)])
    assert [(a.how, a.own) for a in planned.actions if isinstance(a, act.Stop)] == [(StopHow.KILL, True)]
    fresh = running().wanted(T0, fresh=True)
    planned = look([fresh], [RunId("lab-01", 1)])
    assert [(a.how, a.own) for a in planned.actions if isinstance(a, act.Stop)] == [(StopHow.STOP, True)]


def test_a_whole_lab_may_be_stopped_by_a_word() -> None:
    rows = [running(seat).unwanted(StopHow.SHUTDOWN) for seat in range(1, 41)]
    assert len(takes_away(look(rows, [row.run for row in rows if row.run]))) == 40


def test_a_run_that_was_believed_to_be_over_needs_two_observations_and_the_brake() -> None:
    rows = [replace(running(seat).unwanted(StopHow.STOP), state=GuestState.STOPPED) for seat in range(1, 6)]
    runs = [row.run for row in rows if row.run]
    first = look(rows, runs, now=100.0)
    assert takes_away(first) == []
    assert codes(first) == {"run-believed-over"}
    assert codes(look(rows, runs, now=103.0, memory=first.memory)) == {"mass-stop-held"}
    few = look(rows[:2], runs[:2], now=103.0, memory=first.memory)
    assert len(takes_away(few)) == 2


def test_the_power_button_is_pressed_a_few_times_then_a_person_is_told() -> None:
    row, memory, pressed = running().unwanted(StopHow.SHUTDOWN), Memory(), 0
    planned = look([row], [RunId("lab-01", 1)])
    for second in range(300):
        planned = look([row], [RunId("lab-01", 1)], now=100.0 + second, memory=memory)
        memory = planned.memory
        pressed += len(takes_away(planned))
    assert pressed == BUTTON_PRESSES
    assert codes(planned) == {"power-button-ignored"}
    harder = look([row.unwanted(StopHow.STOP)], [RunId("lab-01", 1)], now=400.0, memory=memory)
    assert len(takes_away(harder)) == 1


def test_a_stop_that_fails_is_tried_with_growing_pauses() -> None:
    row, memory, tries = running().unwanted(StopHow.STOP), Memory(), 0
    for second in range(600):
        planned = look([row], [RunId("lab-01", 1)], now=100.0 + second, memory=memory)
        memory = planned.memory
        tries += len(takes_away(planned))
    assert 2 <= tries <= 8


def test_nothing_starts_while_something_of_the_guest_lives() -> None:
    assert act.Start not in kinds(look([guest(generation=5)], [RunId("lab-01", 3)]))
    assert kinds(look([guest(generation=5)], [])) == [act.Start]


# --- endings


def test_a_guest_that_ended_by_itself() -> None:
    run = RunId("lab-01", 1)
    assert kinds(look([running()], [])) == [act.Retry]
    assert kinds(look([running(failures=3)], [])) == [act.MarkFailed]
    inside = look([running()], [], shut_down=frozenset({run}))
    assert inside.actions == (act.MarkStopped(guest="lab-01", generation=1, reason="it was shut down from inside", from_inside=True),)


def test_a_start_that_failed_is_tried_after_growing_pauses() -> None:
    for failures, pause in [(1, 10.0), (2, 20.0), (3, 40.0)]:
        row = guest(failures=failures)
        first = look([row], [], now=100.0)
        assert first.actions == ()
        assert first.wake == 100.0 + pause
        assert look([row], [], now=99.9 + pause, memory=first.memory).actions == ()
        assert kinds(look([row], [], now=100.0 + pause, memory=first.memory)) == [act.Start]
    assert kinds(look([guest(failures=4)], [])) == [act.Start]  # asked again, after it was given up
    assert look([guest(failures=4, state=GuestState.FAILED)], []).actions == ()


def test_a_run_that_stays_up_forgets_its_failures() -> None:
    first = look([running(failures=2)], [RunId("lab-01", 1)], now=100.0)
    assert kinds(first) == []
    assert kinds(look([running(failures=2)], [RunId("lab-01", 1)], now=161.0, memory=first.memory)) == [act.Settle]


def test_an_interrupted_start_waits_again_and_a_living_one_is_waited_for() -> None:
    row = running(state=GuestState.STARTING)
    assert [(type(a), getattr(a, "state", None)) for a in look([row], []).actions] == [(act.Note, GuestState.WANTED)]
    assert kinds(look([row], [RunId("lab-01", 1)])) == [act.AwaitReady]
    assert kinds(look([row], [RunId("lab-01", 1)], awaiting=frozenset({RunId("lab-01", 1)}))) == []


def test_a_silent_guest_is_noted_and_left_alone() -> None:
    silent = ObservedRun(run=RunId("lab-01", 1), state=RunState.SILENT)
    planned = look([running()], [silent])
    assert [(type(a), getattr(a, "state", None)) for a in planned.actions] == [(act.Note, GuestState.SILENT)]
    back = look([running(state=GuestState.SILENT)], [RunId("lab-01", 1)])
    assert [(type(a), getattr(a, "state", None)) for a in back.actions] == [(act.Note, GuestState.RUNNING)]


def test_a_paused_guest_goes_on_when_there_is_room_and_not_for_ever() -> None:
    paused = ObservedRun(run=RunId("lab-01", 1), state=RunState.PAUSED, reason="disk full")
    row = running(state=GuestState.PAUSED, reason="disk full")
    assert look([row], [paused], disk_room=False).actions == ()
    memory, resumed = Memory(), 0
    planned = look([row], [paused])
    for second in range(2000):
        planned = look([row], [paused], now=100.0 + second, memory=memory)
        memory = planned.memory
        resumed += kinds(planned).count(act.Resume)
    assert resumed == RESUMES
    assert codes(planned) == {"resume-given-up"}


@pytest.mark.parametrize("policy, kind", [(OnLeave.KEEP, None), (OnLeave.RESET, act.Refresh), (OnLeave.STOP, act.Retire)])
def test_the_policy_acts_when_the_grace_is_over(policy: OnLeave, kind: type | None) -> None:
    lab = replace(LAB, on_leave=policy, leave_grace_seconds=60)
    viewed = ObservedRun(run=RunId("lab-01", 1), state=RunState.RUNNING, viewed=True)
    there = look([running()], [viewed], now=100.0, lab=lab)
    left = look([running(state=GuestState.CONNECTED)], [RunId("lab-01", 1)], now=110.0, memory=there.memory, lab=lab)
    early = look([running()], [RunId("lab-01", 1)], now=169.0, memory=left.memory, lab=lab)
    assert kind is None or kind not in kinds(early)
    late = look([running()], [RunId("lab-01", 1)], now=170.0, memory=early.memory, lab=lab)
    assert kinds(late) == ([kind] if kind else [])
    back = look([running()], [viewed], now=169.5, memory=early.memory, lab=lab)
    assert not {act.Refresh, act.Retire} & set(kinds(look([running()], [RunId("lab-01", 1)], now=171.0, memory=back.memory, lab=lab)))


def test_a_guest_nobody_has_looked_at_is_not_left() -> None:
    lab = replace(LAB, on_leave=OnLeave.STOP, leave_grace_seconds=0)
    assert look([running()], [RunId("lab-01", 1)], lab=lab).actions == ()


# --- remains


def test_folders_go_when_their_row_proves_it() -> None:
    row = running(generation=5)
    folders = frozenset({RunId("lab-01", 3), RunId("lab-01", 5), RunId("lab-01", 6)})
    planned = look([row], [RunId("lab-01", 5)], folders=folders)
    assert takes_away(planned) == [act.RemoveRun(guest="lab-01", generation=5, run=RunId("lab-01", 3))]
    assert codes(planned) == {"folder-unclear"}
    off = replace(running().unwanted(StopHow.STOP), state=GuestState.STOPPED)
    assert len(takes_away(look([off], [], folders=frozenset({RunId("lab-01", 1)})))) == 1
    failed = running(state=GuestState.FAILED)
    assert takes_away(look([failed], [], folders=frozenset({RunId("lab-01", 1)}))) == []
    assert takes_away(look([row], [RunId("lab-01", 3), RunId("lab-01", 5)], folders=folders)) == []


def test_taps_go_when_their_guest_is_off_and_filters_come_back() -> None:
    tap = LAB.plan.tap(1)
    bare = ObservedPorts(taps=frozenset({tap}), filtered=frozenset())
    none = ObservedPorts(taps=frozenset(), filtered=frozenset())
    off = replace(running().unwanted(StopHow.STOP), state=GuestState.STOPPED)
    assert kinds(look([off], [], ports=bare)) == [act.Unplug]
    assert kinds(look([off], [RunId("lab-01", 1)], ports=bare)) == [act.Replug]
    assert kinds(look([running()], [RunId("lab-01", 1)], ports=bare)) == [act.Replug]
    assert codes(look([running()], [RunId("lab-01", 1)], ports=none)) == {"port-missing"}
    assert kinds(look([guest()], [], ports=bare)) == [act.Start]  # it will be used again


def test_the_tap_of_a_living_guest_without_a_row_is_not_called_a_stray() -> None:
    ports = ObservedPorts(taps=frozenset({LAB.plan.tap(7)}), filtered=frozenset())
    assert codes(look([running()], [RunId("lab-01", 1), RunId("lab-07", 1)], ports=ports)) == {"run-without-row", "port-missing"}
    special = ObservedPorts(taps=frozenset({LAB.plan.tap(LAST_SEAT + 1)}), filtered=frozenset())
    assert "tap-without-guest" not in codes(look([running()], [RunId("lab-01", 1), RunId("lab-s01", 1)], ports=special))
    assert "tap-without-guest" in codes(look([running()], [RunId("lab-01", 1), RunId("lab-s02", 1)], ports=special))


# --- random worlds


@dataclass
class World:
    """Rows and processes; does what a plan says, as the engine does it."""

    rows: dict[str, Guest] = field(default_factory=dict)
    living: dict[RunId, RunState] = field(default_factory=dict)
    now: float = 1000.0
    memory: Memory = field(default_factory=Memory)
    destroyed: list[tuple[RunId, Guest | None, Observation]] = field(default_factory=list)

    def see(self) -> Observation:
        return Observation(
            now=self.now,
            guests=tuple(self.rows.values()),
            runs=tuple(ObservedRun(run=run, state=state) for run, state in sorted(self.living.items())),
            folders=frozenset(self.living),
            labs={"lab": LAB},
        )

    def step(self) -> Plan:
        seen = self.see()
        planned = plan(seen, self.memory, Limits(attempts=4))
        self.memory = planned.memory
        for action in planned.actions:
            self.do(action, seen)
        return planned

    def do(self, action: act.Action, seen: Observation) -> None:
        if isinstance(action, act.Quarantine | act.Resume | act.Replug | act.Unplug | act.RemoveRun | act.KeepRun | act.Pause):
            return
        row = self.rows[action.guest]
        if row.generation != action.generation:
            return
        when = T0 + timedelta(seconds=self.now)
        match action:
            case act.Start():
                assert not [run for run in self.living if run.guest == row.name], "two runs of one guest"
                generation = row.generation + 1 if row.run and row.run.generation >= row.generation else row.generation
                run = RunId(row.name, generation)
                self.living[run] = RunState.RUNNING
                row = replace(row, state=GuestState.RUNNING, generation=generation, run=run)
            case act.Stop(run=run, how=how):
                self.destroyed.append((run, row, seen))
                if self.living.get(run) is RunState.SILENT and how is not StopHow.KILL:
                    return
                self.living.pop(run, None)
                if action.own:
                    row = replace(row, state=GuestState.STOPPED if row.wish is Wish.STOPPED else GuestState.WANTED)
            case act.Note(state=state, reason=reason):
                row = replace(row, state=state, reason=reason)
            case act.AwaitReady():
                row = replace(row, state=GuestState.RUNNING)
            case act.Adopt(run=run, state=state, reason=reason):
                row = replace(row, state=state, reason=reason, run=run, generation=max(row.generation, run.generation))
            case act.Retry():
                row = replace(row, state=GuestState.WANTED, failures=row.failures + 1)
            case act.MarkFailed():
                row = replace(row, state=GuestState.FAILED, failures=row.failures + 1)
            case act.MarkStopped():
                row = replace(row, state=GuestState.STOPPED, reason=action.reason)
            case act.Refresh():
                row = row.wanted(when, fresh=True)
            case act.Retire():
                row = row.unwanted(StopHow.STOP)
            case act.Settle():
                row = replace(row, failures=0)
        self.rows[row.name] = row


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world = World()
    for seat in range(1, draw(st.integers(1, 6)) + 1):
        name = f"lab-{seat:02d}"
        if draw(st.booleans()):
            generation = draw(st.integers(1, 5))
            own = draw(st.none() | st.integers(1, generation))
            world.rows[name] = guest(
                seat,
                wish=draw(st.sampled_from(Wish)),
                generation=generation,
                state=draw(st.sampled_from(GuestState)),
                run=RunId(name, own) if own else None,
                failures=draw(st.integers(0, 5)),
                stop_how=draw(st.sampled_from(StopHow)),
            )
        for living in draw(st.sets(st.integers(1, 6), max_size=2)):
            world.living[RunId(name, living)] = draw(st.sampled_from(RunState))
    return world


def justified(run: RunId, row: Guest | None) -> bool:
    """Positive evidence: the row exists, its generation is newer, and this run is its own (the wish moved on) or
    another one's elder.
    """
    return row is not None and row.run is not None and row.generation > run.generation


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.lists(st.sampled_from(["round", "wait", "ask", "off", "die", "fresh"]), max_size=12), st.randoms())
def test_random_worlds_keep_the_rules(world: World, events: list[str], random: object) -> None:
    strangers = {run for run in world.living if run.guest not in world.rows}
    for event in [*events, *["wait"] * 4]:
        before = set(world.living)
        names = sorted(world.rows)
        name = random.choice(names) if names else None  # type: ignore[attr-defined]
        if event == "wait":
            world.now += 45.0
        elif event == "die" and world.living:
            world.living.pop(random.choice(sorted(world.living)))  # type: ignore[attr-defined]
            before = set(world.living)
        elif name and event in ("ask", "fresh"):
            world.rows[name] = world.rows[name].wanted(T0, fresh=event == "fresh")
        elif name and event == "off":
            world.rows[name] = world.rows[name].unwanted(StopHow.KILL)
        planned = world.step()
        assert all(justified(run, row) for run, row, _ in world.destroyed)
        assert strangers & before <= set(world.living), "a run without a row was destroyed"
        unasked = [a for a in planned.actions if isinstance(a, act.Stop) and not a.own]
        assert len(unasked) <= 3 or planned.memory.asked
        living = [run.guest for run in world.living]
        started = [a for a in planned.actions if isinstance(a, act.Start)]
        assert all(living.count(a.guest) == 1 for a in started)


@settings(max_examples=200, deadline=None)
@given(worlds())
def test_a_plan_that_was_carried_out_plans_nothing_more(world: World) -> None:
    for _ in range(40):
        world.now += 301.0  # every pause and confirmation is over
        world.step()
    world.now += 0.001
    lasting = [a for a in world.step().actions if not isinstance(a, act.Quarantine | act.Resume | act.RemoveRun)]
    stubborn = {run.guest for run, state in world.living.items() if state is RunState.SILENT}
    assert [a for a in lasting if getattr(a, "guest", None) not in stubborn] == []


def test_a_machine_that_is_just_being_started_may_say_nothing_for_a_while() -> None:
    """As after a kill of the engine in a storm: its terminal is not to hear of an error."""
    silent = ObservedRun(run=RunId("lab-01", 1), state=RunState.SILENT)
    row = running(state=GuestState.STARTING, started_at=T0)

    def state(after: float) -> object:
        planned = look([row], [silent], wall=T0 + timedelta(seconds=after))
        return [getattr(action, "state", None) for action in planned.actions]

    assert state(5) == [GuestState.STARTING]
    assert state(61) == [GuestState.SILENT]
