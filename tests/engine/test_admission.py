# SPDX-License-Identifier: MIT
"""A storm on a host that is too small, slow or forgetful: who comes first, what the others are told, and that nobody hears an error."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from labvirt.domain.addresses import MacAddress
from labvirt.domain.answer import Status
from labvirt.domain.guest import GuestState, RunId, Wish
from labvirt.domain.host import GUEST_OVERHEAD_MIB, HostLoad
from labvirt.engine.forecast import Kind
from labvirt.engine.rows import Rows
from labvirt.usecases import asking
from tests.engine.simulated import SimLab, SimMachine, lab, until
from tests.engine.test_engine import all_in, clean, ports_of, row, rows


def ask_all(sim: SimLab, engine: object, seats: range) -> None:
    for seat in seats:
        asking.ask(ports_of(sim, engine), f"lab-a-pc{seat}", None)  # type: ignore[arg-type]


def test_who_touches_the_keyboard_comes_next_and_who_was_woken_last(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, starts_at_once=1)
    sim.furnish(lab(seats=9), terminals=6)
    gate = sim.hypervisor.blocked["lab-a-01"] = threading.Event()
    with sim.engine() as engine:
        ask_all(sim, engine, range(1, 2))
        until(lambda: sim.hypervisor.parallel == 1)
        engine.wake("lab-a", (MacAddress(0x020000000002),))
        ask_all(sim, engine, range(2, 7))
        engine.in_front("lab-a-05", 3)
        engine.in_front("lab-a-04", 3000)  # long ago: he went away
        engine.in_front("lab-z-99", 0)  # whoever that is
        until(lambda: engine.status().queue == tuple(f"lab-a-0{seat}" for seat in (5, 3, 4, 6, 2)), says=lambda: engine.status().queue)
        until(lambda: row(sim, "lab-a-05").reason == "place 1")
        gate.set()
        until(lambda: all_in(sim, GuestState.RUNNING, count=6))
    assert sim.hypervisor.order == [f"lab-a-0{seat}" for seat in (1, 5, 3, 4, 6, 2)]


def test_memory_for_five_of_forty_serves_five_tells_the_others_why_and_serves_them_later(tmp_path: Path) -> None:
    sim = SimLab(tmp_path)
    sim.settings = replace(sim.settings, young_seconds=3600)
    sim.furnish(lab(seats=40), terminals=40)
    sim.machine.available_mib = 512 + 5 * (64 + GUEST_OVERHEAD_MIB)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        ask_all(sim, engine, range(1, 41))
        until(lambda: sum(1 for each in rows(sim).values() if each.ready) == 5, 60)
        until(lambda: sum(1 for each in rows(sim).values() if each.reason.startswith("full: place ")) == 35, 60, lambda: rows(sim))
        answers = [asking.ask(ports, f"lab-a-pc{seat}", None).answer for seat in range(1, 41)]
        assert [answer.status for answer in answers].count(Status.READY) == 5
        assert {answer.status for answer in answers} == {Status.READY, Status.FULL}
        first = next(answer for answer in answers if answer.status is Status.FULL)
        assert first.waits_for == "place 1: the host local has about 0 MiB of memory left and this guest needs 160 MiB"
        assert all((answer.waits_for or "").startswith("place ") for answer in answers if answer.status is Status.FULL)
        sim.machine.available_mib = 1 << 20
        until(lambda: all_in(sim, GuestState.RUNNING, count=40), 60, says=lambda: engine.status())
        clean(engine)
    sim.close()


class KillingMachine(SimMachine):
    """Its kernel has killed so many."""

    killed = 0

    def load(self) -> HostLoad:
        return replace(super().load(), out_of_memory=self.killed)


class StrainedMachine(SimMachine):
    """All work stands still for the disk, as long as that is so."""

    stands_still = True
    _stalled = 0

    def __init__(self, clock: object) -> None:
        super().__init__()
        self._clock = clock
        self._at = clock.monotonic()  # type: ignore[attr-defined]

    def load(self) -> HostLoad:
        now = self._clock.monotonic()  # type: ignore[attr-defined]
        if self.stands_still:
            self._stalled += int((now - self._at) * 900_000)
        self._at = now
        return replace(super().load(), cpu_stalled_us=0, io_stalled_us=self._stalled, memory_stalled_us=0)


def test_a_disk_that_stands_still_gets_one_start_at_a_time_and_the_reason_is_said(sim: SimLab) -> None:
    place = lab(seats=9)
    sim.settings = replace(sim.settings, settle_seconds=3600)
    sim.furnish(place, terminals=6)
    machine = sim.machine = StrainedMachine(sim.clock)
    with sim.engine() as engine:
        ask_all(sim, engine, range(1, 2))
        until(lambda: engine.status().starts_at_once == 1, 60, says=lambda: engine.status())
        assert engine.status().starts_held.startswith("the disk is slow: all work stood still for it in ")
        ask_all(sim, engine, range(2, 5))
        until(lambda: row(sim, "lab-a-02").reason == "place 1")
        assert sim.hypervisor.order == ["lab-a-01"]  # it boots, and keeps the only place
        machine.stands_still = False
        sim.dhcp.ask("lab-a", place.identity(1).mac)
        until(lambda: row(sim, "lab-a-02").ready)
        assert engine.status().starts_at_once == 1


def test_a_machine_that_the_kernel_ended_for_want_of_memory_does_not_make_its_seat_fail(sim: SimLab) -> None:
    sim.settings = replace(sim.settings, start_attempts=1)
    sim.furnish(lab(seats=3), terminals=3)
    machine = sim.machine = KillingMachine()
    with sim.engine() as engine:
        ask_all(sim, engine, range(1, 3))
        until(lambda: all_in(sim, GuestState.RUNNING, count=2))
        machine.killed += 1
        sim.hypervisor.end(row(sim, "lab-a-01").run)  # type: ignore[arg-type]
        until(lambda: row(sim, "lab-a-01").run != RunId("lab-a-01", 1) or "memory ran out" in row(sim, "lab-a-01").reason)
        until(lambda: row(sim, "lab-a-01").ready)
    sim.machine = SimMachine()
    with sim.engine() as engine:  # the neighbour's ends on a host that is well
        until(lambda: engine.status().reconciled_at is not None)
        sim.hypervisor.end(row(sim, "lab-a-02").run)  # type: ignore[arg-type]
        until(lambda: row(sim, "lab-a-02").state is GuestState.FAILED)


def test_a_host_that_is_short_of_something_makes_nobody_fail(sim: SimLab) -> None:
    sim.furnish(lab(seats=3), terminals=3)
    with sim.engine() as engine:
        ask_all(sim, engine, range(1, 4))
        until(lambda: all_in(sim, GuestState.RUNNING, count=3))
    short = ["memory is short"]
    busy = [""]
    tried = Rows(sim.database, sim.clock, engine._published, lambda slow: short[0] or (busy[0] if slow else ""))

    def fail(seat: int, why: str, *, times: int = 12, final: bool = False) -> None:
        guest = row(sim, f"lab-a-0{seat}")
        for _ in range(times):
            tried.failed(guest.name, guest.generation, why, 4, final=final)

    fail(1, "it did not answer within 120 s")
    guest = row(sim, "lab-a-01")
    assert (guest.state, guest.wish, guest.failures) == (GuestState.WANTED, Wish.RUNNING, 3)
    assert guest.reason == "trying again when the host bears it (memory is short), because it did not answer within 120 s"
    fail(3, "the image is damaged", times=1, final=True)
    assert row(sim, "lab-a-03").state is GuestState.FAILED  # that no host would bear
    short[0] = ""
    fail(2, "QEMU: cannot set up guest memory 'm0': Cannot allocate memory")
    assert row(sim, "lab-a-02").state is GuestState.WANTED
    busy[0] = "the processors are busy"
    fail(2, "it did not answer within 120 s", times=1)
    assert row(sim, "lab-a-02").state is GuestState.WANTED
    fail(2, "its machine ended by itself", times=1)  # no processor is to blame for that
    assert row(sim, "lab-a-02").state is GuestState.FAILED


def test_the_next_start_of_a_profile_is_weighed_as_its_last_one_was_made(sim: SimLab) -> None:
    sim.furnish(lab(seats=3), terminals=3)
    with sim.engine() as engine:
        admission = engine._admission
        ask_all(sim, engine, range(1, 2))
        until(lambda: row(sim, "lab-a-01").ready)
        next_one = replace(row(sim, "lab-a-01"), name="lab-a-03")
        admission._profiles["lab-a-03"] = "tiny"
        assert (admission._how(next_one), admission._weight(next_one)) == ("cold", 1.0)
        for how, weight in (("clone", 0.5), ("cold", 1.0)):
            admission._under_way.let("lab-a-02", at=sim.clock.monotonic(), memory_mib=1, weight=1.0, kind=Kind(profile="tiny"))
            admission.began("lab-a-02", boots=False, how=how)
            assert (admission._how(next_one), admission._weight(next_one)) == (how, weight)


def test_a_clone_that_had_to_boot_is_promised_all_of_its_memory(sim: SimLab) -> None:
    sim.furnish(lab(seats=3), terminals=3)
    with sim.engine() as engine:
        under_way, now = engine._admission._under_way, sim.clock.monotonic()
        under_way.let("lab-a-02", at=now, memory_mib=400, weight=0.5, kind=Kind(how="clone", profile="tiny"))
        promised = under_way.committed_mib(now=now, young_seconds=60)
        assert promised == 100 + GUEST_OVERHEAD_MIB
        engine._admission.began("lab-a-02", boots=True, how="cold")
        assert under_way.committed_mib(now=now, young_seconds=60) == 400 + GUEST_OVERHEAD_MIB
