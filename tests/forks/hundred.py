# SPDX-License-Identifier: MIT
"""`make forks`: a hundred clones of one frozen tiny guest, all different, each with the right time; and how long each took to answer."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.forks.flock import OWN, Answer, Flock, network
from tests.system import ending
from tests.system.recipe import built


def judge(answers: list[Answer], flock: Flock) -> None:
    """No two have anything of OWN in common, and none has it from the template."""
    for what in OWN:
        told = [flock.before[what], *(answer.facts[what] for answer in answers)]
        double = sorted({each for each in told if told.count(each) > 1})
        assert not double, f"{what}: {double}"
    for answer in answers:
        spec, facts = answer.spec, answer.facts
        assert (facts["run"], facts["name"], facts["machine_id"]) == (str(spec.run), spec.run.guest, spec.uuid.hex), facts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, metavar="N")
    parser.add_argument("--at-once", type=int, default=100, metavar="N", help="so many live together (30 MiB each; default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    ending.in_order()
    flock = Flock(built("images/tiny/build.py"))
    answers: list[Answer] = []
    clocks: list[float] = []
    waits: list[float] = []
    walls: list[float] = []
    try:
        with tempfile.TemporaryDirectory(prefix="forks-") as work, network(options.count, Path(work)):
            while len(answers) < options.count:
                begun = time.monotonic()
                batch = flock.fork(range(len(answers), min(options.count, len(answers) + options.at_once)))
                walls.append(time.monotonic() - begun)
                settled = flock.settled(batch)
                clocks += [answer.ahead for answer in settled]
                waits += [answer.answers for answer in settled]
                flock.stop()
                answers += batch
        judge(answers, flock)
    finally:
        flock.close()
    figures: dict[str, object] = {"clones": len(answers), "seconds of each batch": [round(wall, 2) for wall in walls]}
    for name, values in (
        ("runs after", [answer.runs for answer in answers]),
        ("answers after", [answer.answers for answer in answers]),
        ("clock", clocks),
        ("clock right, seconds after all had answered", waits),
        ("clock at its first answer", [answer.ahead for answer in answers]),
    ):
        figures[name] = [round(each, 3) for each in (min(values), statistics.median(values), max(values))]
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures) + "\n")
    assert all(abs(ahead) < 1 for ahead in clocks), f"clocks: {sorted(clocks)}"
    print(f"{len(answers)} clones of one template: all different in {', '.join(OWN)}; every clock within a second.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
