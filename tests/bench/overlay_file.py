# SPDX-License-Identifier: MIT
"""B7, B7-run, B7-first: an empty overlay on the tiny image, made in this process and made by qemu-img.

A run proves its versions: B7-first is the first one after the host has booted, which reads them; B7-run all others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from labvirt.contracts.disks import RunDisk
from labvirt.disks import overlay
from labvirt.disks.driver import QcowDisks
from labvirt.domain.guest import RunId
from labvirt.domain.image import Version
from tests.bench.ground import ground, must, tiny_image
from tests.bench.record import Record, record
from tests.bench.rounds import Once, interleave
from tests.bench.target import times_better
from tests.fakes.disks import doors, version_of

BASELINE = "qemu-img create -b"


def measure(repeat: int) -> list[Record]:
    """Each file is removed again, outside of the measured time."""
    with ground() as mine:
        made = doors(mine.folder)
        disks = made["disks"]
        stored = made["store"].import_version(tiny_image(mine), format="qcow2", image="tiny", number=1)
        version = version_of(stored)
        base = mine.folder / "images" / stored.file
        path = mine.folder / "overlay.qcow2"
        flows: dict[str, Once] = {
            "ours": lambda number: _in_process(path, base, version),
            "run": lambda number: _run(disks, version, number),
            "first": lambda number: _first(mine.folder / "images", disks, version, number),
            BASELINE: lambda number: _qemu_img(path, base, version),
        }
        found = interleave(flows, repeat)["file"]
        must(["qemu-img", "check", "-q", str(_kept(path, base, version))])
    return [
        record(
            "B7",
            "an empty overlay's file",
            "ms",
            {"ours": found["ours"], BASELINE: found[BASELINE]},
            targets=[times_better(15, BASELINE)],
            notes=("qemu-img's time is mostly that of starting a program; neither side waits for the disk (no fsync).",),
        ),
        record(
            "B7-run",
            "a run's folder: its versions known to be proven, the folder made (0700), the overlay in it",
            "ms",
            {"ours": found["run"], BASELINE: found[BASELINE]},
            notes=("The baseline makes the file only.",),
        ),
        record(
            "B7-first",
            f"the same, first after boot: the {stored.size_bytes / 1e6:.0f} MB below are read and their checksum compared",
            "ms",
            {"ours": found["first"], BASELINE: found[BASELINE]},
            notes=("They are read from the host's memory, not from the disk.",),
        ),
    ]


def _in_process(path: Path, base: Path, version: Version) -> Mapping[str, float]:
    began = time.perf_counter()
    overlay.create(path, base=base, base_format=version.format, virtual_bytes=version.virtual_bytes, uid=None)
    return _took(began, path)


def _qemu_img(path: Path, base: Path, version: Version) -> Mapping[str, float]:
    began = time.perf_counter()
    must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", version.format, str(path)])
    return _took(began, path)


def _run(disks: QcowDisks, version: Version, number: int) -> Mapping[str, float]:
    run = RunId("bench", number + 1)
    began = time.perf_counter()
    disks.create_run(run, (RunDisk(place=0, chain=(version,)),), uid=None)
    took = (time.perf_counter() - began) * 1000
    disks.remove_run(run)
    return {"file": took}


def _first(images: Path, disks: QcowDisks, version: Version, number: int) -> Mapping[str, float]:
    """Nothing is proven, as after the host has booted."""
    (images / ".proven.json").unlink(missing_ok=True)
    return _run(disks, version, number)


def _took(began: float, path: Path) -> Mapping[str, float]:
    took = (time.perf_counter() - began) * 1000
    path.unlink()
    return {"file": took}


def _kept(path: Path, base: Path, version: Version) -> Path:
    overlay.create(path, base=base, base_format=version.format, virtual_bytes=version.virtual_bytes, uid=None)
    return path
