# SPDX-License-Identifier: MIT
"""A run's folder belongs to its guest's own user: what the engine reads there is bounded, and leads nowhere else."""

from __future__ import annotations

import json
import os

import pytest

from labvirt.errors import HypervisorError
from tests.engine.simulated import SimLab, lab
from tests.engine.test_engine import start


def test_a_launch_record_that_is_none_is_not_followed_nor_waited_for(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    secret = sim.root / "secret.json"
    secret.write_text(json.dumps({"argv": ["of", "somebody", "else"]}))
    with sim.engine() as engine:
        run = start(sim, engine, "lab-a-01")
        record = sim.root / "runs" / str(run) / "launch.json"
        good = record.read_text()
        assert engine.command_line("lab-a-01")[:2] == ("simulated", str(run))
        for lay in (
            lambda: record.symlink_to(secret),
            lambda: record.symlink_to("/dev/zero"),
            lambda: os.mkfifo(record),
            lambda: record.write_text("[" * 100_000),
            lambda: (record.touch(), os.truncate(record, 1 << 40)),
        ):
            record.unlink()
            lay()
            with pytest.raises(HypervisorError):
                engine.command_line("lab-a-01")
        record.unlink()
        record.write_text(good)
        assert engine.command_line("lab-a-01")[:2] == ("simulated", str(run))
