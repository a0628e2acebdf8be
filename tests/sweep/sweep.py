# SPDX-License-Identifier: MIT
"""make sweep: kill -9 at every durable call of every verb on images, one after another, until no call is left; and every fsync fails once.

After each death the controller is started again. Then the published version must be the old or the new one byte for byte, an acknowledged
publish must be there, `verify` must find nothing, and nothing may be orphaned.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.sweep import crashpoint
from tests.sweep.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
BEYOND = 3
"""So many calls beyond the last that fired must not fire before a verb counts as swept: threads make the count waver."""

RECOVERY_CALLS = 300
"""About so many durable calls a recovery makes; in a sample some recoveries die too."""


@dataclass
class Tally:
    """What was seen of one verb."""

    verb: str
    calls: int = 0
    killed: int = 0
    syncs: int = 0
    acked: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, answer: dict[str, object], *, sync: bool) -> None:
        with self.lock:
            if answer["fired"]:
                if sync:
                    self.syncs += 1
                else:
                    self.killed += 1
                self.acked += bool(answer["acked"])
                self.kinds[str(answer["what"]).split(" ", 1)[0]] += 1
            for problem in answer["problems"]:  # type: ignore[attr-defined]
                self.problems.append(f"{self.verb} {'sync ' if sync else ''}{answer['number']} ({answer['what']}): {problem}")


class Process:
    """One worker process and its folder (in memory: nothing here is about the disk's own cache)."""

    def __init__(self, verb: str, base: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{verb}-", dir=base))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sweep.worker", str(self._folder), verb],
            cwd=ROOT,
            env=crashpoint.environment(self._folder / "table", self._folder / "state"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.count = int(str(self._answer()["count"]))

    def ask(self, number: int, *, sync: bool = False, second: int = 0) -> dict[str, object]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{'sync ' if sync else f'deep {second} ' if second else ''}{number}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answer(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with {self._process.wait()}")
        answer: dict[str, object] = json.loads(line)
        return answer


def whole(verb: str, base: Path, workers: int, say: bool) -> Tally:
    """Every call, shared among `workers`, until none fires any more."""
    tally = Tally(verb)

    def share(first: int) -> None:
        process = Process(verb, base)
        try:
            tally.calls = max(tally.calls, process.count)
            for sync in (False, True):
                number, missed = first, 0
                while missed < BEYOND:
                    answer = process.ask(number, sync=sync)
                    tally.add(answer, sync=sync)
                    missed = 0 if answer["fired"] else missed + 1
                    number += workers
                    if say and number % 50 < workers:
                        print(f"  {verb}: {tally.killed} of about {tally.calls} killed, {len(tally.problems)} problems", flush=True)
        finally:
            process.close()

    _together(share, range(1, workers + 1))
    return tally


def sample(verbs: list[str], base: Path, workers: int, seed: int, seconds: float) -> list[Tally]:
    """Random calls of all verbs in turn for so long."""
    tallies = {verb: Tally(verb) for verb in verbs}
    deadline = time.monotonic() + seconds

    def share(worker: int) -> None:
        dice = random.Random(seed * 1000 + worker)
        processes: dict[str, Process] = {}
        mine = verbs[worker::workers]
        try:
            while time.monotonic() < deadline:
                for verb in mine:
                    if time.monotonic() >= deadline:
                        break
                    process = processes.get(verb) or processes.setdefault(verb, Process(verb, base))
                    tallies[verb].calls = process.count
                    sync = dice.random() < 0.15
                    second = dice.randint(1, RECOVERY_CALLS) if dice.random() < 0.3 else 0
                    most = max(1, process.count // 6 if sync else process.count)
                    tallies[verb].add(process.ask(dice.randint(1, most), sync=sync, second=second), sync=sync)
        finally:
            for process in processes.values():
                process.close()

    _together(share, range(workers))
    return list(tallies.values())


def _together(share: Callable[[int], None], numbers: Iterable[int]) -> None:
    """All at the same time; raises what one of them raised."""
    with ThreadPoolExecutor() as pool:
        for ended in [pool.submit(share, number) for number in numbers]:
            ended.result()


def run(verbs: list[str], *, workers: int, seed: int | None, seconds: float, say: bool = True) -> list[Tally]:
    """The whole sweep, or a seeded sample of so many seconds."""
    with ground() as base:
        if seed is not None:
            return sample(verbs, base, workers, seed, seconds)
        tallies = []
        for verb in verbs:
            tallies.append(whole(verb, base, workers, say))
            if say:
                print("\n".join([line_of(tallies[-1]), *tallies[-1].problems]), flush=True)
        return tallies


@contextmanager
def ground() -> Iterator[Path]:
    """A private folder, in memory if there is one; it is gone afterwards, and so are those of sweeps that were killed."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for old in parent.glob("labvirt-sweep-*"):
        pid = old.name.split("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    base = Path(tempfile.mkdtemp(prefix=f"labvirt-sweep-{os.getpid()}-", dir=parent))
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def line_of(tally: Tally) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in tally.kinds.most_common())
    figures = f"{tally.killed} deaths, {tally.syncs} failed syncs, {tally.acked} after the answer, {len(tally.problems)} problems"
    return f"{tally.verb}: {figures} ({kinds})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verb", action="append", choices=sorted(VERBS), help="only this one (may be given again)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--sample", type=int, metavar="SEED", help="random calls instead of all")
    parser.add_argument("--seconds", type=float, default=150, help="of the sample")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    began = time.monotonic()
    tallies = run(options.verb or list(VERBS), workers=options.workers, seed=options.sample, seconds=options.seconds)
    seconds = time.monotonic() - began
    if options.sample is not None:
        for tally in tallies:
            print(line_of(tally))
    problems = [problem for tally in tallies for problem in tally.problems]
    for problem in problems:
        print(problem)
    deaths, syncs = sum(t.killed for t in tallies), sum(t.syncs for t in tallies)
    print(f"{deaths} deaths and {syncs} failed syncs in {seconds:.0f} s: {len(problems)} problems")
    if options.json:
        figures = {
            "seconds": round(seconds, 1),
            "seed": options.sample,
            "deaths": deaths,
            "failed_syncs": syncs,
            "problems": problems,
            "verbs": {t.verb: {"calls": t.calls, "deaths": t.killed, "failed_syncs": t.syncs, "kinds": dict(t.kinds)} for t in tallies},
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
