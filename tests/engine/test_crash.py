# SPDX-License-Identifier: MIT
"""kill -9 of a real engine process at thirty seeded points, one after another on the same state: everything is found again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.domain.guest import GuestState, Wish
from labvirt.usecases import asking
from tests.engine.lab_process import SEATS, STORM
from tests.engine.simulated import SimLab, lab, until
from tests.engine.test_engine import rows

ROOT = Path(__file__).parents[2]
KILLS = 5


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("series", range(6))
def test_after_a_kill_everything_agrees_again(tmp_path: Path, series: int) -> None:
    sim = SimLab(tmp_path)
    sim.furnish(lab(seats=SEATS))
    sim.close()
    for seed in range(series * KILLS, (series + 1) * KILLS):
        process = subprocess.run(
            [sys.executable, "-m", "tests.engine.lab_process", str(tmp_path), str(seed)],
            cwd=ROOT,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
        look_again(tmp_path, seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
def test_after_a_kill_in_a_storm_of_forty_each_is_served_and_nothing_is_left_over(tmp_path: Path, seed: int) -> None:
    sim = SimLab(tmp_path)
    sim.furnish(lab(seats=STORM), terminals=STORM)
    sim.close()
    process = subprocess.run(
        [sys.executable, "-m", "tests.engine.lab_process", str(tmp_path), str(seed), "storm"],
        cwd=ROOT,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    sim = SimLab(tmp_path)
    before = len(sim.hypervisor.lives())
    asked = len(rows(sim))
    with sim.engine() as engine:
        for seat in range(1, STORM + 1):  # as their kiosks do: those whose question the dead one did not write down, too
            asking.ask(sim.ports(engine), f"lab-a-pc{seat}", None)
        until(lambda: len(rows(sim)) == STORM and settled(sim) and not engine.verify(), 120, says=lambda: (engine.verify(), rows(sim)))
    assert not sim.hypervisor.duplicates()
    lives = sim.hypervisor.lives()
    assert len(lives) == STORM
    assert {str(row.run) for row in rows(sim).values() if row.alive} == lives
    assert {str(folder.run) for folder in sim.disks.runs()} == lives
    assert before < STORM or asked < STORM, "it was killed after the storm"
    sim.close()


def look_again(state: Path, seed: int) -> None:
    """A new engine on what the killed one left behind."""
    sim = SimLab(state)
    with sim.engine() as engine:
        until(lambda: engine.status().reconciled_at is not None)
        until(lambda: settled(sim) and not engine.verify(), 60, says=lambda: (engine.verify(), rows(sim)))
    assert not sim.hypervisor.duplicates(), f"two runs of one guest (seed {seed})"
    lives = sim.hypervisor.lives()
    assert {str(row.run) for row in rows(sim).values() if row.alive} == lives
    assert {str(folder.run) for folder in sim.disks.runs()} == lives
    assert len(sim.network.state().taps) == len(lives)
    sim.close()


def settled(sim: SimLab) -> bool:
    ends = {Wish.RUNNING: (GuestState.RUNNING, GuestState.CONNECTED), Wish.STOPPED: (GuestState.STOPPED,)}
    return all(row.state in ends[row.wish] for row in rows(sim).values())
