# SPDX-License-Identifier: MIT
"""Terminal off stops its guest, terminal restart leaves it, labs wake by the clock: a real engine with its chores, on simulated guests."""

from __future__ import annotations

from datetime import timedelta

import pytest

from labvirt.domain.guest import GuestState, StopHow
from labvirt.domain.power_order import PowerWord
from labvirt.domain.power_times import PowerTimes
from labvirt.errors import NotFound
from labvirt.usecases import leaving, power, power_times, terminals
from tests.engine.simulated import SimLab, lab, until
from tests.engine.test_engine import clean, history, row, start

FIRST, SECOND = "lab-a-01", "lab-a-02"


def test_off_stops_the_guest_and_a_restart_leaves_it(sim: SimLab) -> None:
    """The goodbyes are said while no engine runs: the next one keeps them."""
    sim.furnish(lab(seats=4, leave_grace_seconds=1), terminals=2)
    with sim.engine() as engine:
        ports = sim.ports(engine)
        first, second = start(sim, engine, FIRST), start(sim, engine, SECOND)
        known = {each.seat: each for each in terminals.everything(ports)}
    leaving.goodbye(ports, known[2], PowerWord.RESTART)
    leaving.goodbye(ports, known[1], PowerWord.SHUTDOWN)
    assert sim.hypervisor.lives() == {str(first), str(second)}
    with sim.engine(jobs=True) as engine:
        until(lambda: row(sim, FIRST).state is GuestState.STOPPED)
        assert (first, StopHow.SHUTDOWN) in sim.hypervisor.stopped
        assert sim.hypervisor.lives() == {str(second)}
        assert row(sim, SECOND).ready
        assert any("its terminal lab-a-pc1 was switched off" in line for line in history(sim))
        clean(engine)
        power.start(sim.ports(engine), FIRST)  # nothing of the goodbye is left over for the next one
        until(lambda: row(sim, FIRST).ready)


def test_a_lab_is_woken_by_the_clock_through_the_engine(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), lab("lab-b", block=1, seats=4), terminals=2)
    with sim.database.read() as work:
        macs = [each.mac for each in work.terminals.of_lab("lab-a")]
    minute_ago = power_times.wall(sim.ports(None)) - timedelta(minutes=1)  # type: ignore[arg-type]
    every_day = PowerTimes(lab="lab-a", on=minute_ago.time().replace(second=0, microsecond=0), days=frozenset(range(7)))
    with sim.database.write() as work:
        work.power_times.put(every_day)
        work.commit()
    bridge, other = lab().bridge, lab("lab-b", block=1).bridge
    with sim.engine(jobs=True) as engine:
        until(lambda: sim.network.woken(bridge) == macs)
        until(lambda: any("a magic packet was sent to wake it, by the clock" in line for line in history(sim)))
        with pytest.raises(NotFound):
            engine.wake("lab-z", ())
    with sim.engine(jobs=True) as engine:  # another engine does not do it again
        start(sim, engine, FIRST)
        assert sim.network.woken(bridge) == macs
    assert sim.network.woken(other) == []
