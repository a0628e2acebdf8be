# SPDX-License-Identifier: MIT
"""`make bench`: measures LabVirt, and plainer ways to the same end, in one run on one machine.

Exit codes: 0 measured, 1 a benchmark failed, 2 wrong use, 3 this machine is not able.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.bench.catalogue import Benchmark, chosen
from tests.bench.record import Record, render
from tests.bench.rounds import say

CAUTION = (
    "Emulation (TCG) makes all that happens inside a guest many times slower than on a real host, and so hides what controllers cost.",
    "The machine is shared and noisy. Flows that are compared took turns in this run; compare the ratios, not numbers of two runs.",
    "With fewer than 100 values p99 is the largest value.",
)

QUICK = "This was a quick run: its counts are small, and its figures are not those that the targets are about."


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure LabVirt beside plainer ways, in one run.")
    parser.add_argument("how", nargs="?", choices=("quick",), help="the same as --quick")
    parser.add_argument("--list", action="store_true", help="say which benchmarks there are, and end")
    parser.add_argument("--only", metavar="ID", action="append", default=[], help="only this one, or all that begin so; may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="the suite B with few repetitions and small crowds (3 minutes): to see that it works"
    )
    parser.add_argument("--repeat", type=_positive, metavar="N", help="repetitions instead of each benchmark's own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw a picture (SVG) of each benchmark there")
    options = parser.parse_args(words)
    quick = options.quick or options.how == "quick"
    try:
        benchmarks = chosen(options.only, quick=quick)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        for each in benchmarks:
            print(f"{each.id:<11} {each.about}; {each.repeat} times (quick: {each.quick})")
        return 0
    return _measure(benchmarks, quick=quick, repeat=options.repeat, json_file=options.json, plots=options.plots)


def _measure(benchmarks: tuple[Benchmark, ...], *, quick: bool, repeat: int | None, json_file: Path | None, plots: Path | None) -> int:
    from labvirt.errors import HostNotReady, LabVirtError
    from tests.bench import machine, plot
    from tests.bench.ground import orderly_end

    told = machine.describe()
    records: list[Record] = []
    loads: list[dict[str, str]] = []
    failed = 0
    with orderly_end():
        for each in benchmarks:
            before = machine.load_average()
            say(f"{each.id}: {each.about} (load average {before})")
            try:
                found = each.run(repeat or (each.quick if quick else each.repeat), quick)
            except HostNotReady as error:
                say(f"{each.id}: {error} {error.hint}")
                failed = 3
                continue
            except (LabVirtError, TimeoutError) as error:
                say(f"{each.id} failed: {error}")
                failed = failed or 1
                continue
            loads.append({"id": each.id, "before": before, "after": machine.load_average()})
            records += found
            _show(each.id, found, loads[-1], render(found, quick=quick))
    print(", ".join(f"{key} {value}" for key, value in told.items()))
    cautions = (*CAUTION, QUICK) if quick else CAUTION
    for sentence in cautions:
        print(sentence)
    rows = [each.as_json(quick=quick) for each in records]
    if json_file is not None:
        whole = {"machine": told, "quick": quick, "load": loads, "records": rows, "caution": cautions}
        json_file.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if plots is not None:
        plot.write(rows, plots)
    return failed


def _show(id: str, found: list[Record], load: dict[str, str], table: str) -> None:
    print(f"\n{id}: load average before {load['before']}, after {load['after']}\n\n{table}\n")
    for note in (note for each in found for note in each.notes):
        print(f"- {note}")
    print(flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
