# SPDX-License-Identifier: MIT
"""What the host bears, as the kernel tells it: pressure, the disk's requests, and the limit of our own control group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labvirt.system import disk_statistics, machine, memory_limit, pressure

SOME = "some avg10=1.50 avg60=0.00 avg300=0.00 total=1234\n"
FULL = "full avg10=0.50 avg60=0.00 avg300=0.00 total=99\n"


@pytest.mark.parametrize(
    "text, found",
    [
        (SOME + FULL, (1.5, 1234, 99)),
        (SOME, (1.5, 1234, 0)),  # processors before Linux 5.13
        ("", None),
        ("some avg10=x total=1\n", None),
        ("nothing of the kind\n", None),
        (None, None),
    ],
)
def test_pressure_is_read_or_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, found: object) -> None:
    monkeypatch.setattr(pressure, "FOLDER", tmp_path)
    if text is not None:
        (tmp_path / "io").write_text(text)
    read = pressure.read("io")
    assert (None if read is None else (read.some_avg10, read.some_us, read.full_us)) == found


def test_a_host_without_pressure_and_disk_statistics_has_its_load_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure, "FOLDER", tmp_path / "none")
    monkeypatch.setattr(disk_statistics, "FILE", tmp_path / "none")
    load = machine.read_load(tmp_path)
    assert load.memory_available_mib > 0
    assert load.out_of_memory is None or load.out_of_memory >= 0
    assert (load.cpu_pressure, load.io_stalled_us, load.memory_stalled_us, load.disk_requests) == (None, None, None, None)


def test_the_requests_are_those_of_the_device_below_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = os.stat(tmp_path).st_dev
    own, other = f"{os.major(device)} {os.minor(device)}", f"{os.major(device)} {os.minor(device) + 1}"
    table = tmp_path / "diskstats"
    table.write_text(f" {other} sdb 9 9 9 9 9 9 9 9 9 9 9\n {own} sda 100 0 800 250 40 0 320 750 0 900 1000\n short 1\n")
    monkeypatch.setattr(disk_statistics, "FILE", table)
    assert disk_statistics.read(tmp_path) == disk_statistics.DiskStatistics(requests=140, wait_ms=1000)
    table.write_text(f" {other} sdb 9 9 9 9 9 9 9 9 9 9 9\n")
    assert disk_statistics.read(tmp_path) is None


def test_the_least_that_is_left_in_a_group_above_us_counts(tmp_path: Path) -> None:
    root, process = tmp_path / "cgroup", tmp_path / "self"
    inner = root / "machine.slice" / "labvirt.service"
    inner.mkdir(parents=True)
    process.write_text("0::/machine.slice/labvirt.service\n")

    def group(folder: Path, limit: str, used: int, unused: int) -> None:
        (folder / "memory.max").write_text(limit + "\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 1\ninactive_file {unused}\n")

    group(inner, "max", 0, 0)
    assert memory_limit.available_mib(process, root) is None
    group(inner, str(4 << 30), 3 << 30, 512 << 20)
    assert memory_limit.available_mib(process, root) == 1536
    group(inner.parent, str(4 << 30), 4 << 30, 100 << 20)
    assert memory_limit.available_mib(process, root) == 100
    process.write_text("4:memory:/v1/only\n")
    assert memory_limit.available_mib(process, root) is None
    assert memory_limit.available_mib(tmp_path / "none", root) is None
