# SPDX-License-Identifier: MIT
"""The engine on simulated guests: starts, stops, endings, adoption, presence. Real database, real operations, real threads."""

from __future__ import annotations

import threading
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from labvirt.contracts.engine import EngineLink
from labvirt.contracts.network import Flow
from labvirt.domain.guest import Guest, GuestState, RunId, StopHow, Wish
from labvirt.domain.lab import OnLeave
from labvirt.engine.main import Engine
from labvirt.errors import GuestNotReady, HypervisorError, NotFound
from labvirt.usecases import asking, power
from labvirt.usecases.ports import Ports
from tests.engine.simulated import SimLab, lab, profile, until


def ports_of(sim: SimLab, engine: EngineLink) -> Ports:
    return sim.ports(engine)


def row(sim: SimLab, name: str) -> Guest:
    with sim.database.read() as work:
        return work.guests.one(name)


def rows(sim: SimLab) -> dict[str, Guest]:
    with sim.database.read() as work:
        return {guest.name: guest for guest in work.guests.list()}


def all_in(sim: SimLab, *states: GuestState, count: int) -> bool:
    found = rows(sim)
    return len(found) == count and all(guest.state in states for guest in found.values())


def history(sim: SimLab) -> list[str]:
    with sim.database.read() as work:
        return [f"{entry.subject}: {entry.what}" for entry in work.audit.last(50)]


def clean(engine: Engine) -> None:
    until(lambda: not engine.verify(), says=engine.verify)


def start(sim: SimLab, engine: Engine, name: str) -> RunId:
    power.start(ports_of(sim, engine), name)
    until(lambda: row(sim, name).ready, says=lambda: (row(sim, name), engine.status().findings))
    run = row(sim, name).run
    assert run is not None
    return run


def test_a_wish_becomes_a_running_guest_and_an_end(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=4)
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        guest = row(sim, "lab-a-01")
        assert guest.profile == "tiny"
        assert guest.disks[0].version == 1
        assert guest.host == "local"
        assert sim.hypervisor.lives() == {str(run)}
        assert engine.command_line("lab-a-01")[:2] == ("simulated", str(run))
        assert len(sim.network.state().taps) == 1
        clean(engine)
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.STOP)
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        clean(engine)
        assert sim.disks.runs() == ()
        assert sim.network.state().taps == frozenset()
        with pytest.raises(GuestNotReady):
            engine.screenshot("lab-a-01")
        with pytest.raises(NotFound):
            engine.reset("lab-a-99")


def test_a_power_button_ends_a_guest_that_listens_and_is_reported_of_one_that_does_not(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    sim.hypervisor.deaf.add("lab-a-02")
    with sim.engine() as engine:
        start(sim, engine, "lab-a-01")
        deaf = start(sim, engine, "lab-a-02")
        power.stop(ports_of(sim, engine), "lab-a-01")
        power.stop(ports_of(sim, engine), "lab-a-02")
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        until(lambda: "power button was pressed" in row(sim, "lab-a-02").reason)
        assert row(sim, "lab-a-02").state is GuestState.STOPPING
        power.stop(ports_of(sim, engine), "lab-a-02", StopHow.STOP)
        until(lambda: row(sim, "lab-a-02").state is GuestState.STOPPED)
        assert sim.hypervisor.stopped[-1] == (deaf, StopHow.STOP)
        clean(engine)


def test_a_guest_that_was_shut_down_from_inside_stays_off_until_its_terminal_asks(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=1)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        asking.ask(ports, "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        first = row(sim, "lab-a-01").run
        assert first is not None
        sim.hypervisor.end(first, inside=True)
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        guest = row(sim, "lab-a-01")
        assert guest.wish is Wish.STOPPED
        assert guest.reason == "it was shut down from inside"
        clean(engine)
        asking.ask(ports, "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        assert row(sim, "lab-a-01").run != first


def test_a_killed_guest_is_started_again_after_a_pause_that_is_said(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.hypervisor.end(run)
        until(lambda: row(sim, "lab-a-01").state is GuestState.WANTED)
        guest = row(sim, "lab-a-01")
        assert guest.failures == 1
        assert "ended by itself" in guest.reason
        assert guest.wish is Wish.RUNNING
        power.fresh(ports_of(sim, engine), "lab-a-01")  # a person does not have to wait
        until(lambda: row(sim, "lab-a-01").ready)


def test_a_guest_that_cannot_start_fails_with_a_sentence_and_leaves_nothing(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, start_attempts=1)
    sim.furnish(lab(seats=4))
    sim.hypervisor.refuse["lab-a-01"] = HypervisorError("QEMU says: no such device.")
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").state is GuestState.FAILED)
        assert row(sim, "lab-a-01").reason == "QEMU says: no such device"
        assert sim.disks.runs() == ()
        assert sim.network.state().taps == frozenset()
        clean(engine)
        sim.hypervisor.refuse.clear()
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready)


def test_a_mistake_of_the_program_fails_one_guest_and_is_not_tried_in_a_loop(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    sim.hypervisor.refuse["lab-a-01"] = ZeroDivisionError("a bug")
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        start(sim, engine, "lab-a-02")
        until(lambda: row(sim, "lab-a-01").failures == 1)
        assert "mistake of the program" in row(sim, "lab-a-01").reason
        assert sim.hypervisor.order.count("lab-a-01") == 1


def test_a_damaged_image_fails_at_once_and_names_the_version(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.database.read() as work:
        version = work.images.version("tiny", 1)
    assert version is not None
    file = sim.root / "images" / version.file
    file.chmod(0o644)
    file.write_bytes(b"nonsense")
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").state is GuestState.FAILED)
        assert "tiny v1" in row(sim, "lab-a-01").reason
        assert row(sim, "lab-a-01").failures == 1
        assert any("tiny" in finding.subject for finding in engine.verify())


def test_a_fresh_run_replaces_the_old_one(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        old = start(sim, engine, "lab-a-01")
        power.fresh(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready and row(sim, "lab-a-01").run != old)
        assert sim.hypervisor.lives() == {str(row(sim, "lab-a-01").run)}
        clean(engine)
        assert not sim.hypervisor.duplicates()


def test_a_stop_that_comes_while_a_start_is_under_way_wins(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    gate = sim.hypervisor.blocked["lab-a-01"] = threading.Event()
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: sim.hypervisor.order == ["lab-a-01"])
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.KILL)
        gate.set()
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        clean(engine)
        assert sim.hypervisor.lives() == set()


def test_an_engine_that_comes_back_keeps_what_runs_and_since_when(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        start(sim, engine, "lab-a-01")
        before = row(sim, "lab-a-01")
    with sim.engine() as engine:
        until(lambda: engine.status().reconciled_at is not None)
        clean(engine)
        assert row(sim, "lab-a-01") == before
        assert sim.hypervisor.stopped == []


def test_a_guest_that_died_while_nobody_looked_is_noticed(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
    sim.hypervisor.end(run)
    with sim.engine():
        until(lambda: row(sim, "lab-a-01").state is GuestState.WANTED)
        assert row(sim, "lab-a-01").failures == 1


def test_viewers_are_seen_by_display_events_and_by_flows(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, flow_seconds=0.1)
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        heard = engine.watch()
        assert next(heard).guest.name == "lab-a-01"
        sim.hypervisor.viewer(run, there=True)
        until(lambda: row(sim, "lab-a-01").state is GuestState.CONNECTED)
        change = next(change for change in heard if change.presence.display)
        assert (change.presence.peer, change.presence.flow) == ("10.77.0.65", False)
        sim.hypervisor.viewer(run, there=False)
        until(lambda: row(sim, "lab-a-01").state is GuestState.RUNNING)
        sim.network.see(Flow(source=IPv4Address("10.77.0.66"), destination=IPv4Address("10.77.0.129"), port=3389))
        until(lambda: row(sim, "lab-a-01").state is GuestState.CONNECTED)
        change = next(change for change in heard if change.presence.flow)
        assert (change.presence.peer, change.presence.display) == ("10.77.0.66", False)


@pytest.mark.parametrize("policy, state", [(OnLeave.KEEP, GuestState.RUNNING), (OnLeave.STOP, GuestState.STOPPED)])
def test_what_happens_when_the_viewer_leaves(sim: SimLab, policy: OnLeave, state: GuestState) -> None:
    sim.furnish(lab(seats=4, on_leave=policy, leave_grace_seconds=0))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.hypervisor.viewer(run, there=True)
        until(lambda: row(sim, "lab-a-01").state is GuestState.CONNECTED)
        sim.hypervisor.viewer(run, there=False)
        until(lambda: row(sim, "lab-a-01").state is state)
        clean(engine)


def test_a_lab_may_give_the_next_viewer_a_fresh_run(sim: SimLab) -> None:
    sim.furnish(lab(seats=4, on_leave=OnLeave.RESET, leave_grace_seconds=0))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.hypervisor.viewer(run, there=True)
        until(lambda: row(sim, "lab-a-01").state is GuestState.CONNECTED)
        sim.hypervisor.viewer(run, there=False)
        until(lambda: row(sim, "lab-a-01").ready and row(sim, "lab-a-01").run != run)
        clean(engine)


def test_a_display_secret_is_for_one_address_and_ends_when_used(sim: SimLab) -> None:
    place = lab(seats=4)
    sim.furnish(place)
    source = IPv4Address("10.77.0.65")
    with sim.engine() as engine:
        with pytest.raises(NotFound):
            engine.mint_display("lab-a-01", source)
        run = start(sim, engine, "lab-a-01")
        first = engine.mint_display("lab-a-01", source)
        second = engine.mint_display("lab-a-01", source)
        assert first.secret != second.secret
        assert len(second.secret) <= 60
        assert (second.address, second.port) == (IPv4Address("10.77.0.1"), 20001)
        assert sim.network.granted(place.bridge) == {20001: source}
        assert sim.hypervisor.granted[-1] == (run, second.secret, sim.settings.ticket_seconds)
        sim.hypervisor.viewer(run, there=True)
        until(lambda: sim.hypervisor.granted[-1] == (run, "", 0))
        assert sim.network.granted(place.bridge) == {}


def test_a_guest_with_a_port_is_ready_when_it_answers(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), kind=profile(ready_port=3389))
    answering: set[object] = set()
    sim.probe = lambda places: frozenset(place for place in places if place in answering)
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: "waiting for 10.77.0.129 port 3389" in row(sim, "lab-a-01").reason)
        assert row(sim, "lab-a-01").state is GuestState.STARTING
    with sim.engine() as engine:  # a new engine goes on waiting
        until(lambda: engine.status().reconciled_at is not None)
        assert row(sim, "lab-a-01").state is GuestState.STARTING
        answering.add((IPv4Address("10.77.0.129"), 3389))
        until(lambda: row(sim, "lab-a-01").ready)
        assert sim.hypervisor.order == ["lab-a-01"]


def test_a_guest_that_never_answers_is_given_up(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, start_timeout_seconds=0.2, start_attempts=1)
    sim.furnish(lab(seats=4), kind=profile(ready_port=3389))
    sim.probe = lambda places: frozenset()
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").state is GuestState.FAILED)
        assert "did not answer on 10.77.0.129 port 3389" in row(sim, "lab-a-01").reason
        assert sim.hypervisor.lives() == set()
        clean(engine)


def test_a_paused_guest_says_so_and_goes_on_when_there_is_room(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.disks.free = 0
        sim.hypervisor.change(run, state="paused", reason="the disk is full")
        engine.poke()
        until(lambda: row(sim, "lab-a-01").state is GuestState.PAUSED)
        assert row(sim, "lab-a-01").reason == "the disk is full"
        sim.disks.free = 65536
        until(lambda: row(sim, "lab-a-01").state is GuestState.RUNNING)
        assert sim.hypervisor.stopped == []


def test_some_seats_start_before_anybody_asks_once_per_boot(sim: SimLab) -> None:
    sim.furnish(lab(seats=4, start_instances=2))
    with sim.engine() as engine:
        until(lambda: all_in(sim, GuestState.RUNNING, count=2))
        assert set(rows(sim)) == {"lab-a-01", "lab-a-02"}
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.STOP)
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
    with sim.engine() as engine:
        until(lambda: engine.status().reconciled_at is not None)
        clean(engine)
        assert row(sim, "lab-a-01").state is GuestState.STOPPED
    sim.machine.boot = "99999999-2222-3333-4444-555555555555"
    with sim.engine():
        until(lambda: row(sim, "lab-a-01").ready)


def test_labs_networks_follow_the_database(sim: SimLab) -> None:
    place = lab(seats=4)
    sim.furnish(place, terminals=2)
    with sim.engine() as engine:
        until(lambda: sim.dhcp.serving() == {"lab-a"})
        names = sim.dhcp.hosts(place.network.gateway)
        assert names is not None
        assert names["lab-a-t02"] == IPv4Address("10.77.0.66")
        assert names["lab-a-04.labvirt.internal"] == IPv4Address("10.77.0.132")
        with sim.database.write() as work:
            work.terminals.remove("lab-a-pc2")
            work.commit()
        engine.poke()
        until(lambda: "lab-a-t02" not in (sim.dhcp.hosts(place.network.gateway) or {}))
        sim.network.flush()
        until(lambda: sim.network.state().rules_intact)
        with sim.database.write() as work:
            work.terminals.remove("lab-a-pc1")
            work.labs.remove("lab-a")
            work.commit()
        engine.poke()
        until(lambda: sim.dhcp.serving() == frozenset())
        until(lambda: sim.network.state().bridges == frozenset())
