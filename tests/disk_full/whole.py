# SPDX-License-Identifier: MIT
"""Every size between nothing and what a deed needs, or a seeded sample. `python -m tests.disk_full.whole [DEED ...]` does all of them."""

from __future__ import annotations

import json
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.disk_full.deeds import DEEDS
from tests.disk_full.worker import Answer, Trial

ROOT = Path(__file__).resolve().parents[2]
ANSWER_SECONDS = 90.0
PREFIX = "lvt-full-"


@dataclass
class Tally:
    """What was seen of one deed."""

    deed: str
    outcomes: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, trial: Trial, answer: Answer) -> None:
        self.outcomes[answer.outcome] += 1
        if answer.said:
            self.said[f"[{answer.code}] {answer.said}"] += 1
        self.problems += [f"{self.deed} {trial}: {problem}" for problem in answer.problems]

    def __str__(self) -> str:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        return f"{self.deed}: {sum(self.outcomes.values())} trials, {counted}, {len(self.problems)} problems"


class Process:
    """A worker in a mount namespace of its own; what is mounted there goes with it."""

    def __init__(self, deed: str, base: Path, *, ext4: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{deed}-", dir=base))
        argv = [sys.executable, "-m", "tests.disk_full.worker", str(self._folder), deed, "ext4" if ext4 else "tmpfs"]
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "--", *argv],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, trial: Trial) -> Answer:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(asdict(trial)) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return Answer(outcome="died", problems=[f"it had ended with {self._process.wait()}"])
        if not select.select([self._process.stdout], [], [], ANSWER_SECONDS)[0]:
            self._process.kill()
            return Answer(outcome="hangs", problems=["no answer"])
        line = self._process.stdout.readline()
        return Answer(**json.loads(line)) if line else Answer(outcome="died", problems=[f"it ended with {self._process.wait()}"])

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def sizes(need_kib: int) -> Iterator[int]:
    """Bytes: densely where only headers fit, then in steps of 64 KiB to 1 MiB more than is needed."""
    yield from (kib << 10 for kib in (0, 4, 8, 12, 16, 24, 32, 48))
    yield from range(64 << 10, (need_kib + 1024) << 10, 64 << 10)


def trials(deed: str) -> Iterator[Trial]:
    """All of them: nothing at all in every way, each other size in two of the six ways, by turns."""
    ways = [(where, raced) for where in ((False, False), (True, False), (True, True)) for raced in (False, True)]
    for number, free in enumerate(sizes(DEEDS[deed].need_kib)):
        for turn, ((database, reserved), raced) in enumerate(ways):
            if free == 0 or turn % 3 == number % 3:
                yield Trial(what="bytes", free=free, database=database, reserved=reserved, raced=raced)


def sample(deed: str, dice: random.Random, count: int) -> list[Trial]:
    """Nothing at all with and without the database, and some of the others, at least one of them half way."""
    every = list(trials(deed))
    first = [Trial(what="bytes", free=0), Trial(what="bytes", free=0, database=True, raced=True)]
    half = [one for one in every if 0 < one.free < DEEDS[deed].need_kib << 9] or every
    return [*first, dice.choice(half), *dice.sample(every, max(0, count - 3))][:count]


def run(deed: str, chosen: Iterable[Trial], base: Path, *, ext4: bool = False) -> Tally:
    tally, process = Tally(deed), Process(deed, base, ext4=ext4)
    try:
        for trial in chosen:
            tally.add(trial, process.ask(trial))
    finally:
        process.close()
    return tally


@contextmanager
def ground() -> Iterator[Path]:
    """A folder on the disk; those of dead earlier runs go too. No mount can be left: each is in a namespace that died with its worker."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if time.time() - left.stat().st_mtime > 7200:
            shutil.rmtree(left, ignore_errors=True)
    base = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def main() -> int:
    names = sys.argv[1:] or list(DEEDS)
    began, bad = time.monotonic(), 0
    with ground() as base, ThreadPoolExecutor(2) as pool:
        for tally in pool.map(lambda name: run(name, trials(name), base), names):
            print(f"{tally}  ({time.monotonic() - began:.0f} s)", flush=True)
            for problem in tally.problems[:8]:
                print(f"    {problem}", flush=True)
            for said, count in tally.said.most_common():
                print(f"    {count:4} {said}", flush=True)
            bad += len(tally.problems)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
