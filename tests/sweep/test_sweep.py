# SPDX-License-Identifier: MIT
"""A seeded sample of the crash sweep; the whole is `make sweep`."""

from __future__ import annotations

import os
import random
import shutil

import pytest

from tests.sweep import sweep
from tests.sweep.verbs import CONTROL, VERBS

SECONDS = 80
SEED = int(os.environ.get("LABVIRT_SWEEP_SEED", "20261121"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="the sweep builds its library with gcc (apt-get install gcc)"),
]


@pytest.mark.timeout(600)
def test_a_death_at_any_durable_call_loses_and_leaves_nothing() -> None:
    tallies = sweep.run(list(VERBS), workers=2, seed=SEED, seconds=SECONDS, say=False)
    assert not [problem for tally in tallies for problem in tally.problems]
    assert all(tally.killed for tally in tallies), [sweep.line_of(tally) for tally in tallies]
    assert sum(tally.syncs for tally in tallies) > 0
    assert sum(tally.acked for tally in tallies) > 0, "no death came after an answer: nothing was said about what was acknowledged"


@pytest.mark.timeout(600)
def test_a_publish_that_writes_onto_the_published_file_is_caught() -> None:
    """The control: without it, a sweep that looks at nothing would be green too."""
    dice = random.Random(SEED)
    with sweep.ground() as base:
        process = sweep.Process(CONTROL.name, base)
        try:
            problems = [problem for _ in range(4) for problem in process.ask(dice.randint(process.count // 2, process.count))["problems"]]
        finally:
            process.close()
    assert problems
    assert all("tiny v1" in problem or "version 1" in problem for problem in problems), problems
