# SPDX-License-Identifier: MIT
"""No room at all, and some sizes between that and enough: a sentence that says so, nothing half done, and it works when there is room.

A seeded sample; LABVIRT_DISK_FULL=all tries every size (about half an hour), as `python -m tests.disk_full.whole` does.
"""

from __future__ import annotations

import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.disk_full import whole
from tests.disk_full.deeds import DEEDS
from tests.disk_full.whole import Tally
from tests.disk_full.worker import Trial

SEED = int(os.environ.get("LABVIRT_DISK_FULL_SEED", "20261121"))
EVERY = os.environ.get("LABVIRT_DISK_FULL") == "all"
SAMPLE = 3
"""Of those that need much; of the others two."""

pytestmark = [pytest.mark.slow, pytest.mark.real]

NONE = Trial(what="bytes")
NONE_WITH_ENGINE = Trial(what="bytes", database=True, reserved=True)


def _all(chosen: dict[str, list[Trial]], base: Path, *, ext4: bool = False) -> list[Tally]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda each: whole.run(each[0], each[1], base, ext4=ext4), chosen.items()))


def _problems(tallies: list[Tally]) -> list[str]:
    return [problem for tally in tallies for problem in tally.problems]


@pytest.mark.timeout(7200 if EVERY else 600)
def test_whatever_is_free_a_work_is_done_or_refused_as_a_whole() -> None:
    dice = random.Random(SEED)
    chosen = {
        name: list(whole.trials(name)) if EVERY else whole.sample(name, dice, SAMPLE if DEEDS[name].need_kib >= 1024 else 2)
        for name in DEEDS
    }
    with whole.ground() as base:
        tallies = _all(chosen, base)
    assert not _problems(tallies)
    outcomes = {tally.deed: tally.outcomes for tally in tallies}
    # The control: where nothing is refused, nothing was tried.
    assert all(outcomes[name]["refused"] + outcomes[name]["waiting"] for name in DEEDS if not DEEDS[name].frees), outcomes
    assert sum(count["done"] for count in outcomes.values()), outcomes


@pytest.mark.timeout(600)
def test_room_is_made_on_a_disk_on_which_nothing_can_be_written() -> None:
    """On ext4, where a new folder needs a block; with an import as the control that it is full."""
    chosen = {name: [NONE, NONE_WITH_ENGINE] for name in ("import", "garbage-version", "discard")}
    with whole.ground() as base:
        tallies = _all(chosen, base, ext4=True)
    assert not _problems(tallies)
    assert [dict(tally.outcomes) for tally in tallies] == [{"refused": 2}, {"done": 2}, {"done": 2}]


@pytest.mark.timeout(600)
def test_no_inodes_a_disk_that_cannot_be_written_and_too_many_open_files() -> None:
    dice = random.Random(SEED)
    odd = [Trial(what="ro"), Trial(what="inodes"), *(Trial(what="inodes", free=free) for free in dice.sample(range(1, 9), 2))]
    odd += [Trial(what="files", free=free) for free in dice.sample(range(9), 3)]
    with whole.ground() as base:
        tallies = _all(
            {name: [*odd, Trial(what="inodes", free=500), Trial(what="files", free=200)] for name in ("import", "publish-layer")}, base
        )
    assert not _problems(tallies)
    assert all(tally.outcomes["refused"] >= 3 and tally.outcomes["done"] >= 2 for tally in tallies), [str(tally) for tally in tallies]


@pytest.mark.timeout(600)
def test_who_is_killed_leaves_no_mount() -> None:
    with whole.ground() as base:
        process = whole.Process("clone", base)
        try:
            assert process.ask(Trial(what="bytes", free=8 << 20)).outcome == "done"
            mine = Path(f"/proc/{process.pid}/mounts").read_text()
            assert str(base) in mine, "the control: it was mounted"
            assert str(base) not in Path("/proc/mounts").read_text()
            os.kill(process.pid, 9)
        finally:
            process.close()
        assert str(base) not in Path("/proc/mounts").read_text()
        loops = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True, timeout=10).stdout
        assert str(base) not in loops


def test_the_space_is_named_before_anything_is_copied() -> None:
    """An import needs its copy and what is made of it, a complete file of a draft the draft's copy and that file."""
    with whole.ground() as base:
        tallies = _all({name: [Trial(what="bytes", free=1600 << 10)] for name in ("import", "publish-flatten")}, base)
    for tally in tallies:
        assert not tally.problems
        (said,) = tally.said
        assert "needs about 3 MiB, and 1 MiB are free" in said, said
