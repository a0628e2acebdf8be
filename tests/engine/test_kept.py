# SPDX-License-Identifier: MIT
"""What becomes of what guests have written: kept, dropped when the disk is low, capped; and what was told to happen at a time."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from labvirt.contracts.hypervisor import Capability
from labvirt.domain.addresses import LAST_SEAT
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.kept import Kept
from labvirt.engine.keeping import Keeping
from labvirt.usecases import asking, power
from tests.engine.simulated import SimLab, lab, profile, until
from tests.engine.test_engine import clean, history, ports_of, row, start

MIB = 1 << 20


def kept(sim: SimLab) -> dict[str, Kept]:
    return {str(each.run): each for each in sim.kept.list()}


def change(sim: SimLab, guest: Guest) -> None:
    with sim.database.write() as work:
        work.guests.update(guest)
        work.commit()


def special(sim: SimLab, purpose: Purpose, source: str = "", **more: object) -> Guest:
    """A special guest of lab-a is wanted."""
    with sim.database.write() as work:
        disks = (DiskChoice(place=0, image="tiny", version=1),)
        row = first_guest(work.labs.one("lab-a"), LAST_SEAT + 1, sim.clock.now(), purpose=purpose)
        row = replace(row, profile="tiny", disks=disks, source=source, **more)  # type: ignore[arg-type]
        work.guests.add(row)
        work.commit()
    return row


def test_what_a_guest_has_written_is_kept_after_a_stop_a_crash_and_a_fresh_start(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=1)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        asking.ask(ports, "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        first = row(sim, "lab-a-01").run
        second = start(sim, engine, "lab-a-02")
        third = start(sim, engine, "lab-a-03")
        untouched = start(sim, engine, "lab-a-04")
        assert first is not None
        for run in (first, second, third):
            sim.hypervisor.write(run, MIB)
        power.stop(ports, "lab-a-01", StopHow.STOP)
        sim.hypervisor.end(second)
        power.fresh(ports, "lab-a-03")
        power.stop(ports, "lab-a-04", StopHow.STOP)
        until(lambda: row(sim, "lab-a-02").state is GuestState.WANTED)
        power.fresh(ports, "lab-a-02")  # a person does not wait for the pause
        until(lambda: len(kept(sim)) == 3, says=lambda: kept(sim))
        until(lambda: sim.disks.open_run(untouched) is None)
        found = kept(sim)
        one = found[str(first)]
        assert (one.profile, one.terminal, one.why) == ("tiny", "lab-a-pc1", "stopped")
        assert one.disks == (DiskChoice(place=0, image="tiny", version=1),)
        assert one.used_bytes >= MIB
        assert found[str(third)].why == "fresh"
        assert all(each.disks for each in found.values())
        assert (sim.root / "kept" / str(first) / "overlay-0.qcow2").stat().st_mode & 0o777 == 0o444
        clean(engine)


def test_nothing_is_kept_where_nobody_wants_it(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, keep_overlays=False)
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.hypervisor.write(run, MIB)
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.STOP)
        until(lambda: sim.disks.runs() == ())
        assert kept(sim) == {}


def test_what_was_kept_makes_room_for_those_that_run_the_oldest_first(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        for seat in (1, 2, 3):
            run = start(sim, engine, f"lab-a-0{seat}")
            sim.hypervisor.write(run, MIB)
            power.stop(ports_of(sim, engine), f"lab-a-0{seat}", StopHow.STOP)
            until(lambda run=run: str(run) in kept(sim))  # type: ignore[misc]
        removed: list[str] = []
        remove = sim.kept.remove

        def counted(run: RunId) -> None:
            remove(run)
            removed.append(str(run))
            if len(removed) == 2:
                sim.disks.free = 1 << 16

        sim.kept.remove = counted  # type: ignore[method-assign]
        sim.disks.free = 10
        until(lambda: len(removed) == 2, says=lambda: kept(sim))
        assert removed == ["lab-a-01.g1", "lab-a-02.g1"]
        threading.Event().wait(1.0)
        assert set(kept(sim)) == {"lab-a-03.g1"}


def test_what_somebody_is_about_to_rescue_makes_no_room(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    keeping = Keeping(sim.world())
    with sim.engine() as engine:
        for seat in (1, 2):
            run = start(sim, engine, f"lab-a-0{seat}")
            sim.hypervisor.write(run, MIB)
            power.stop(ports_of(sim, engine), f"lab-a-0{seat}", StopHow.STOP)
            until(lambda run=run: str(run) in kept(sim))  # type: ignore[misc]
    guest = special(sim, Purpose.RESCUE, "lab-a-01.g1")
    sim.disks.free = 10
    keeping.make_room()
    assert set(kept(sim)) == {"lab-a-01.g1"}
    change(sim, replace(guest, wish=Wish.STOPPED, state=GuestState.STOPPED))
    keeping.make_room()
    assert kept(sim) == {}


def test_a_rescued_seat_stands_on_what_was_kept(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        sim.hypervisor.write(run, MIB)
        power.stop(ports_of(sim, engine), "lab-a-01", StopHow.STOP)
        until(lambda: str(run) in kept(sim))
        special(sim, Purpose.RESCUE, str(run))
        engine.poke()
        until(lambda: row(sim, "lab-a-s01").ready, says=lambda: row(sim, "lab-a-s01"))
        own = row(sim, "lab-a-s01").run
        assert own is not None
        names = [layer.path.parent.name for layer in sim.hypervisor.specs[own].drives[0].chain]
        assert names[:2] == [str(own), str(run)]
        assert len(names) == 3
        clean(engine)
        assert sim.dhcp.hosts(lab().network.gateway)["lab-a-s01.labvirt.internal"] == lab().identity(LAST_SEAT + 1).address  # type: ignore[index]
        sim.hypervisor.write(own, MIB)
        power_off(sim, engine, "lab-a-s01")
        until(lambda: set(kept(sim)) == {str(run), str(own)}, says=lambda: kept(sim))


def power_off(sim: SimLab, engine: object, name: str) -> None:
    change(sim, row(sim, name).unwanted(StopHow.STOP))
    engine.poke()  # type: ignore[attr-defined]
    until(lambda: row(sim, name).state is GuestState.STOPPED)


# --- the cap


def test_a_guest_that_has_written_as_much_as_it_may_is_paused_and_told(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), kind=profile(overlay_cap_mib=16), terminals=1)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        asking.ask(ports, "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        run = row(sim, "lab-a-01").run
        assert run is not None
        assert sim.hypervisor.specs[run].overlay_cap_bytes == 16 * MIB
        sim.hypervisor.write(run, 17 * MIB, capped=True)
        engine.poke()
        until(lambda: row(sim, "lab-a-01").state is GuestState.PAUSED)
        until(lambda: "it has written 16 MiB, as much as it may" in row(sim, "lab-a-01").reason)
        threading.Event().wait(1.5)
        assert row(sim, "lab-a-01").state is GuestState.PAUSED
        answer = asking.ask(ports, "lab-a-pc1", None).answer
        assert "it has written 16 MiB" in answer.message
        power.fresh(ports, "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready)


def test_a_driver_that_does_not_look_at_the_cap_is_helped(sim: SimLab) -> None:
    sim.hypervisor.able = frozenset(Capability) - {Capability.OVERLAY_CAP}
    sim.furnish(lab(seats=4), kind=profile(overlay_cap_mib=16))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        other = start(sim, engine, "lab-a-02")
        sim.hypervisor.write(run, 17 * MIB)
        until(lambda: row(sim, "lab-a-01").state is GuestState.PAUSED)
        threading.Event().wait(1.5)
        assert "as much as it may" in row(sim, "lab-a-01").reason
        assert row(sim, "lab-a-02").run == other
        assert row(sim, "lab-a-02").ready
    with sim.engine() as engine:  # a new engine finds the same
        until(lambda: engine.status().reconciled_at is not None)
        threading.Event().wait(1.5)
        assert "as much as it may" in row(sim, "lab-a-01").reason
        assert row(sim, "lab-a-01").state is GuestState.PAUSED


# --- what was told to happen at a time


@pytest.mark.parametrize("due", list(Due))
def test_what_was_told_happens_at_its_time(sim: SimLab, due: Due) -> None:
    sim.furnish(lab(seats=4), terminals=1)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        asking.ask(ports, "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        run = row(sim, "lab-a-01").run
        assert asking.ask(ports, "lab-a-pc1", None).answer.notice is None
        change(sim, row(sim, "lab-a-01").with_due(due, sim.clock.now() + timedelta(seconds=1.5), "Please save your work."))
        engine.poke()
        answer = asking.ask(ports, "lab-a-pc1", None).answer
        assert (answer.status, answer.notice) == ("ready", "Please save your work.")
        assert row(sim, "lab-a-01").run == run
        if due is Due.STOP:
            until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
            assert row(sim, "lab-a-01").wish is Wish.STOPPED
        else:
            until(lambda: row(sim, "lab-a-01").ready and row(sim, "lab-a-01").run != run)
        after = row(sim, "lab-a-01")
        assert (after.due, after.due_at, after.notice) == (None, None, "")
        assert any("the time that was told has come" in line for line in history(sim))
        clean(engine)


def test_a_guest_that_is_old_gets_a_fresh_run(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), kind=profile(restart_days=3))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        young = start(sim, engine, "lab-a-02")
        change(sim, replace(row(sim, "lab-a-01"), started_at=sim.clock.now() - timedelta(days=3, seconds=1)))
        engine.poke()
        until(lambda: row(sim, "lab-a-01").ready and row(sim, "lab-a-01").run != run)
        assert row(sim, "lab-a-02").run == young
        assert any("it has run for 3 days" in line for line in history(sim))
