# SPDX-License-Identifier: MIT
"""B13: clones of one template that live together have nothing in common that they must not (tests/forks, `make forks`). Not about speed;
beside it stands how soon each was somebody of its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from labvirt.errors import HostNotReady
from labvirt.system import process
from tests.bench.record import Record, record
from tests.bench.target import at_least
from tests.forks.flock import OWN

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1800


def measure(count: int, at_once: int) -> list[Record]:
    """Raises HostNotReady with what was double."""
    with tempfile.TemporaryDirectory(prefix="forks-figures-") as folder:
        file = Path(folder) / "figures.json"
        found = process.run(_argv(count, at_once, file), timeout=SECONDS)
        if not file.exists():
            raise HostNotReady(f"Not all of {count} clones are different, or not all came: {found.last_words}", hint="make forks")
        figures = json.loads(file.read_text(encoding="utf-8"))
    clocks = [abs(each) for each in (figures["clock"][0], figures["clock"][-1])]
    notes = (
        f"Compared, with the template too: {', '.join(OWN)}. By the driver, on one bridge; without the controller.",
        f"Clocks at most {max(clocks):.2f} s wrong. Batches of {at_once}, until all had told: {figures['seconds of each batch']} s.",
        "From its own request until its facts came over its own network card, with its address: smallest, median and largest.",
    )
    tells, runs = ([each * 1000 for each in figures[name]] for name in ("answers after", "runs after"))
    return [
        record("B13", "different clones of one template", "clones", {"ours": [figures["clones"]]}, targets=[at_least(count)], notes=notes),
        record("B13-tells", "request to facts over the network", "ms", {"ours": tells}),
        record("B13-runs", "request to the clone running", "ms", {"ours": runs}),
    ]


def _argv(count: int, at_once: int, file: Path) -> list[str]:
    counts = ["--count", str(count), "--at-once", str(at_once)]
    return ["env", "-C", str(ROOT), sys.executable, "-m", "tests.forks.hundred", *counts, "--json", str(file)]
