# SPDX-License-Identifier: MIT
"""Where a benchmark runs: the demo's kind of place, empty at its start and gone at its end.

A killed benchmark's place has a dead owner in its name: the next benchmark or demo removes it.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.demo import place
from labvirt.demo.place import Place
from labvirt.errors import HostNotReady
from labvirt.system import process
from tests.bench.rounds import say
from tests.system import ending

RECIPE = Path(__file__).resolve().parents[2] / "images" / "tiny" / "build.py"


@contextmanager
def ground() -> Iterator[Place]:
    """A folder and a network namespace of our own; processes in it, and both, are gone afterwards. Raises HostNotReady."""
    root = Path(tempfile.gettempdir())
    place.remove_leftovers(root)
    mine = place.own(root)
    try:
        yield mine
    finally:
        place.remove(mine)


@contextmanager
def orderly_end() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C."""
    before = signal.getsignal(signal.SIGTERM)
    ending.in_order()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def tiny_image(mine: Place) -> Path:
    """The tiny guest's disk in the place's folder; built or from the recipe's own cache. Raises HostNotReady."""
    image = mine.folder / "tiny.qcow2"
    say("  building or reusing the tiny image")
    result = process.run([sys.executable, "-I", str(RECIPE), "--out", str(image)], timeout=600)
    if not result.ok:
        raise HostNotReady(f"The tiny image cannot be built: {result.last_words}", hint=f"Try it alone: {RECIPE} --out tiny.qcow2")
    return image


def must(argv: list[str], *, timeout: float = 60) -> str:
    """What the program said. Raises HostNotReady when it fails."""
    result = process.run(argv, timeout=timeout)
    if not result.ok:
        raise HostNotReady(f"{' '.join(argv[:4])} failed: {result.last_words}", hint="labvirt doctor")
    return result.stdout.decode("utf-8", "replace")
