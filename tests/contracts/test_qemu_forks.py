# SPDX-License-Identifier: MIT
"""Clones of a real system become somebody of their own, by the hook inside (images/fork/labvirt-fork). `make forks`: a hundred."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.domain.guest import RunId
from labvirt.hypervisors.qemu.driver import QemuHypervisor
from tests.contracts.test_qemu_tiny import RECIPE, SerialLine
from tests.forks.flock import ANSWER_SECONDS, OWN, Flock, facts_by, network

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

COUNT = 8


@pytest.fixture
def flock(tmp_path: Path) -> Iterator[Flock]:
    image = tmp_path / "tiny.qcow2"
    subprocess.run((sys.executable, str(RECIPE), "--out", str(image)), check=True, timeout=240, capture_output=True)
    made = Flock(image)
    yield made
    made.close()


def test_every_clone_is_somebody_of_its_own(flock: Flock, tmp_path: Path) -> None:
    with network(COUNT, tmp_path):
        first = flock.fork(range(COUNT))
        for number, answer in enumerate(first):
            spec, facts = answer.spec, answer.facts
            assert (facts["run"], facts["name"], facts["machine_id"]) == (str(spec.run), spec.run.guest, spec.uuid.hex)
            assert facts["mac"] == str(spec.port.mac) if spec.port else False
            assert facts["vmgenid"] == _generation(flock, spec.run)
            print(f"clone {number}: runs after {answer.runs:.3f} s, answers after {answer.answers:.3f} s, clock {answer.ahead:+.2f} s")
        for what in OWN:
            told = [answer.facts[what] for answer in first] + [flock.before[what]]
            assert len(set(told)) == COUNT + 1, f"{what}: {told}"
        again = flock.settled(first)
        assert all(abs(answer.ahead) < 1 for answer in again), [answer.ahead for answer in again]
        # Once: nothing is renewed that was renewed.
        assert [answer.facts["boot_id"] for answer in again] == [answer.facts["boot_id"] for answer in first]

    # The control: a clone that nothing has told of it believes that it is the template, and that no time has gone by.
    flock.stop()
    spec = flock.clone(COUNT, card=False)
    with SerialLine(spec.folder) as line:
        line.wake(ANSWER_SECONDS)
        facts, now = facts_by(line), time.time()
    assert {what: facts[what] for what in ("name", "machine_id", "run")} == {
        what: flock.before[what] for what in ("name", "machine_id", "run")
    }
    assert facts["vmgenid"] not in (flock.before["vmgenid"], *(answer.facts["vmgenid"] for answer in first))
    assert now - facts["clock"] > 1


def _generation(flock: Flock, run: RunId) -> str:
    """As the host knows it, as the guest has it (little-endian)."""
    driver = flock.driver
    assert isinstance(driver, QemuHypervisor)
    answer = driver._loop.call(driver._one(run).execute("query-vm-generation-id", deadline_seconds=10), timeout=20, subject=run.guest)
    assert isinstance(answer, dict)
    return uuid.UUID(answer["guid"]).bytes_le.hex()
