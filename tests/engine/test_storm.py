# SPDX-License-Identifier: MIT
"""Many at once, full hosts, silent guests, and databases that are not what they were."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import RunStatus
from labvirt.database.unit_of_work import SqliteDatabase
from labvirt.domain.guest import GuestState, RunId, StopHow, Wish
from labvirt.domain.host import GUEST_OVERHEAD_MIB
from labvirt.usecases import asking, power
from tests.engine.simulated import SimLab, lab, until
from tests.engine.test_engine import all_in, clean, ports_of, row, rows, start


def codes(engine: object) -> set[str]:
    return {finding.code for finding in engine.status().findings}  # type: ignore[attr-defined]


def test_forty_terminals_ask_at_once(tmp_path: Path) -> None:
    sim = SimLab(tmp_path, start_seconds=0.01)
    sim.furnish(lab(seats=40), terminals=40)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        askers = [threading.Thread(target=asking.ask, args=(ports, f"lab-a-pc{seat}", None)) for seat in range(1, 41)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(30)
        until(lambda: all_in(sim, GuestState.RUNNING, count=40), 60, says=lambda: engine.status())
        assert len(sim.hypervisor.order) == 40
        assert 1 <= sim.hypervisor.peak <= 4
        assert engine.status().queue == ()
        clean(engine)
    sim.close()


def test_the_order_of_a_storm_is_the_order_of_asking_with_labs_taking_turns(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, starts_at_once=1)
    sim.furnish(lab("lab-a", 0, 10), lab("lab-b", 1, 3))
    with sim.database.write() as work:
        now = sim.clock.now()
        for number, (name, seat) in enumerate([*[("lab-a", 11 - s) for s in range(1, 11)], *[("lab-b", s) for s in (1, 2, 3)]]):
            place = work.labs.one(name)
            guest = power._wanted(ports_of(sim, None), work, place, seat, None, fresh=False)  # type: ignore[arg-type]
            work.guests.update(replace(guest, asked_at=now + timedelta(seconds=number)))
        work.commit()
    with sim.engine() as engine:
        until(lambda: all_in(sim, GuestState.RUNNING, count=13), 60, says=lambda: engine.status())
    turns = "lab-a-10 lab-b-01 lab-a-09 lab-b-02 lab-a-08 lab-b-03 lab-a-07 lab-a-06 lab-a-05 lab-a-04 lab-a-03 lab-a-02 lab-a-01"
    assert sim.hypervisor.order == turns.split()
    assert sim.hypervisor.peak == 1


def test_a_queue_that_was_looked_at_once_does_not_keep_the_engine_looking(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.settings = replace(sim.settings, starts_at_once=1, settle_seconds=3600, reconcile_seconds=60)
    place = lab(seats=4)
    sim.furnish(place)
    looks: list[object] = []
    look = sim.hypervisor.running

    def counted() -> tuple[RunStatus, ...]:
        looks.append(None)
        return look()

    monkeypatch.setattr(sim.hypervisor, "running", counted)
    with sim.engine() as engine:
        for seat in (1, 2):
            power.start(ports_of(sim, engine), f"lab-a-0{seat}")
        until(lambda: row(sim, "lab-a-01").ready)  # its end was a turn of the queue's, which had to be repeated: the second waits
        until(lambda: row(sim, "lab-a-02").reason.startswith("place 1"))
        power.stop(ports_of(sim, engine), "lab-a-02", StopHow.KILL)
        until(lambda: row(sim, "lab-a-02").state is GuestState.STOPPED)
        threading.Event().wait(1.5)  # that repetition is due
        looks.clear()
        threading.Event().wait(1.5)
        assert len(looks) <= 5  # thousands, when its being due was never forgotten
        engine.poke()
        until(lambda: looks)  # it does look, and here


def test_a_guest_that_boots_keeps_its_place_until_it_has_its_lease(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, starts_at_once=1, settle_seconds=3600)
    place = lab(seats=4)
    sim.furnish(place)
    with sim.engine() as engine:
        until(lambda: sim.dhcp.serving() == {"lab-a"})
        sim.dhcp.ask("lab-a", place.identity(1).mac)  # what it had from an earlier run does not count
        before = sim.dhcp.leases("lab-a")
        for seat in (1, 2, 3):
            power.start(ports_of(sim, engine), f"lab-a-0{seat}")
            until(lambda: row(sim, "lab-a-01").ready)
        threading.Event().wait(1.5)
        assert sim.hypervisor.order == ["lab-a-01"]
        until(lambda: row(sim, "lab-a-02").reason == "place 1")
        while sim.dhcp.leases("lab-a") == before:  # leases end at whole seconds
            sim.dhcp.ask("lab-a", place.identity(1).mac)
            threading.Event().wait(0.1)
        until(lambda: row(sim, "lab-a-02").ready)
        until(lambda: row(sim, "lab-a-03").reason.startswith("place 1, about "))
        sim.dhcp.ask("lab-a", place.identity(2).mac)
        until(lambda: row(sim, "lab-a-03").ready)


def test_a_full_host_says_so_and_serves_when_memory_is_back(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=4)
    need = 64 + GUEST_OVERHEAD_MIB
    sim.machine.available_mib = 512 + 2 * need
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        for seat in (1, 2, 3):
            asking.ask(ports, f"lab-a-pc{seat}", None)
            if seat < 3:
                until(lambda seat=seat: row(sim, f"lab-a-0{seat}").ready)  # type: ignore[misc]
        until(lambda: row(sim, "lab-a-03").reason.startswith("full: place 1: the host local has"))
        answer = asking.ask(ports, "lab-a-pc3", None).answer
        assert answer.status == "full"
        assert "this guest needs 160 MiB" in (answer.waits_for or "")
        assert engine.status().queue == ("lab-a-03",)
        sim.machine.available_mib = 1 << 16
        until(lambda: row(sim, "lab-a-03").ready)


def test_a_silent_guest_is_said_to_be_silent_and_holds_up_nobody(sim: SimLab) -> None:
    sim.furnish(lab(seats=6))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.hypervisor.silent.add("lab-a-01")
        engine.poke()
        until(lambda: row(sim, "lab-a-01").state is GuestState.SILENT)
        start(sim, engine, "lab-a-02")
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.STOP)
        until(lambda: "guest stop lab-a-01 --how kill" in row(sim, "lab-a-01").reason)
        start(sim, engine, "lab-a-03")
        assert str(run) in sim.hypervisor.lives()
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.KILL)
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        clean(engine)


def test_a_start_that_hangs_holds_up_nobody_else(sim: SimLab) -> None:
    sim.furnish(lab(seats=6))
    gate = sim.hypervisor.blocked["lab-a-01"] = threading.Event()
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: sim.hypervisor.parallel == 1)
        for seat in (2, 3, 4):
            start(sim, engine, f"lab-a-0{seat}")
        assert row(sim, "lab-a-01").state is GuestState.STARTING
        until(lambda: row(sim, "lab-a-01").reason == "its machine is being started")  # after a second
        gate.set()
        until(lambda: row(sim, "lab-a-01").ready)


def test_a_hypervisor_of_which_nothing_is_known_makes_nobody_act(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        start(sim, engine, "lab-a-01")
        sim.hypervisor.unknown = True
        engine.poke()
        until(lambda: "hypervisor-unknown" in codes(engine))
        power.start(ports_of(sim, engine), "lab-a-02")
        threading.Event().wait(1.0)
        assert row(sim, "lab-a-01").state is GuestState.RUNNING
        assert row(sim, "lab-a-02").state is GuestState.WANTED
        sim.hypervisor.unknown = False
        until(lambda: row(sim, "lab-a-02").ready)
        assert "hypervisor-unknown" not in codes(engine)


def test_an_empty_database_destroys_nothing_and_a_terminal_gets_its_guest_back(sim: SimLab) -> None:
    sim.furnish(lab(seats=6), terminals=2)
    with sim.engine() as engine:
        power.fresh(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready)
        for seat in range(2, 6):
            start(sim, engine, f"lab-a-0{seat}")
    lives = sim.hypervisor.lives()
    folders = {folder.run for folder in sim.disks.runs()}
    sim.close()
    for file in sim.root.glob("labvirt.db*"):
        file.unlink()
    shutil.rmtree(sim.root / "images" / "tiny")
    sim.database = SqliteDatabase.open(sim.root / "labvirt.db", create=True)
    with sim.engine() as engine:
        until(lambda: {"database-empty", "run-without-row"} <= codes(engine))
        threading.Event().wait(3.0)
        assert sim.hypervisor.lives() == lives
        assert {folder.run for folder in sim.disks.runs()} == folders
        assert len(sim.network.state().taps) == 5
        assert "database-empty" in {finding.code for finding in engine.verify()}
        sim.furnish(lab(seats=6), terminals=2)
        asking.ask(ports_of(sim, engine), "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        assert str(row(sim, "lab-a-01").run) in lives
        assert sim.hypervisor.lives() == lives
        assert sim.hypervisor.stopped == []


def test_the_database_of_yesterday_destroys_nothing(sim: SimLab) -> None:
    sim.furnish(lab(seats=6))
    with sim.engine() as engine:
        for seat in range(1, 6):
            start(sim, engine, f"lab-a-0{seat}")
            power.stop(ports_of(sim, engine), f"lab-a-0{seat}", StopHow.KILL)
        until(lambda: all_in(sim, GuestState.STOPPED, count=5))
        clean(engine)
    with sqlite3.connect(sim.root / "labvirt.db") as source, sqlite3.connect(sim.root / "yesterday.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    sim.hypervisor.stopped.clear()
    with sim.engine() as engine:
        for seat in range(1, 6):
            start(sim, engine, f"lab-a-0{seat}")
    lives = sim.hypervisor.lives()
    sim.close()
    for file in sim.root.glob("labvirt.db*"):
        file.unlink()
    (sim.root / "yesterday.db").rename(sim.root / "labvirt.db")
    sim.database = SqliteDatabase.open(sim.root / "labvirt.db")
    with sim.engine() as engine:
        until(lambda: "run-newer-than-row" in codes(engine))
        threading.Event().wait(3.0)
        assert sim.hypervisor.lives() == lives
        assert len(sim.disks.runs()) == 5
        assert sim.hypervisor.stopped == []
        power.start(ports_of(sim, engine), "lab-a-03")
        until(lambda: row(sim, "lab-a-03").ready)
        assert sim.hypervisor.lives() == lives


def test_left_overs_of_an_older_generation_are_stopped_a_few_and_held_if_many(sim: SimLab) -> None:
    sim.furnish(lab(seats=20))
    with sim.engine() as engine:
        for seat in range(1, 9):
            power.start(ports_of(sim, engine), f"lab-a-{seat:02d}")
            power.fresh(ports_of(sim, engine), f"lab-a-{seat:02d}")
        until(lambda: all_in(sim, GuestState.RUNNING, count=8))
        sim.hypervisor.plant(RunId("lab-a-01", 1))
        until(lambda: "lab-a-01.g1" not in sim.hypervisor.lives(), says=lambda: engine.status().findings)
        assert row(sim, "lab-a-01").state is GuestState.RUNNING
    sim.hypervisor.stopped.clear()
    with sim.engine() as engine:
        for seat in range(1, 9):
            sim.hypervisor.plant(RunId(f"lab-a-{seat:02d}", 1))
        until(lambda: "mass-stop-held" in codes(engine))
        assert sim.hypervisor.stopped == []
        assert len(sim.hypervisor.lives()) == 16


def test_a_locked_database_keeps_guests_and_is_reported(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        with sqlite3.connect(sim.root / "labvirt.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            sim.hypervisor.end(run)
            until(lambda: "database-unwritable" in codes(engine), 30)
            assert row(sim, "lab-a-01").state is GuestState.RUNNING
            other.execute("ROLLBACK")
        other.close()
        until(lambda: row(sim, "lab-a-01").state is GuestState.WANTED)
        until(lambda: "database-unwritable" not in codes(engine))


def test_verify_names_every_stray_of_every_kind(sim: SimLab) -> None:
    from labvirt.domain.addresses import InterfaceName
    from labvirt.engine.labs import wish_of

    place = lab(seats=6)
    sim.furnish(place)
    sim.settings = replace(sim.settings, reconcile_seconds=60)
    with sim.engine() as engine:
        for seat in (1, 2, 3, 4):
            start(sim, engine, f"lab-a-0{seat}")
        clean(engine)
        found = lambda: {finding.code for finding in engine.verify()}  # noqa: E731
        sim.hypervisor.plant(RunId("lab-x-09", 1))
        assert found() == {"run-without-row"}
        sim.hypervisor.end(RunId("lab-x-09", 1))
        sim.network.unplug(place.identity(2).tap)
        assert "port-missing" in found()
        stray = lab("lab-s", 9, 4)
        sim.network.ensure_lab(wish_of(stray, (), 8080).network)
        sim.dhcp.apply(wish_of(stray, (), 8080).dhcp)
        assert {"bridge-without-lab", "dhcp-without-lab"} <= found()
        third = row(sim, "lab-a-03").run
        assert third is not None
        folder = sim.disks.open_run(third)
        assert folder is not None
        folder.overlays[0].unlink()
        assert "overlays-missing" in found()
        version = next((sim.root / "images").rglob("*.qcow2"))
        version.chmod(0o644)
        assert "image-mode" in found()
        sim.dhcp.stop("lab-a")
        assert {"dhcp-missing", "names-unknown"} <= found()
        assert InterfaceName("lvb009") in sim.network.state().bridges
        engine.poke()
        assert all(finding.sentence.endswith(".") for finding in engine.verify())


def test_rows_know_nothing_of_a_wish_that_was_not_recorded(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    assert rows(sim) == {}
    with sim.engine() as engine:
        start(sim, engine, "lab-a-01")
        assert row(sim, "lab-a-01").wish is Wish.RUNNING
