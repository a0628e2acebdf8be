# SPDX-License-Identifier: MIT
"""The stick that `make devices-test` plugs in: it is one that blkid, and so udev, knows, and what is on it can be read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.boot import persons_stick

pytestmark = pytest.mark.skipif(shutil.which("mformat") is None, reason="Debian's mtools are not installed")


def test_the_stick_has_a_name_and_a_file(tmp_path: Path) -> None:
    stick = persons_stick.make(tmp_path, "one.img")
    assert persons_stick.is_sound(stick)
    assert persons_stick.read(stick, "answer.txt") == ""
    (tmp_path / "answer").write_text("kept")
    subprocess.run(["mcopy", "-i", stick, tmp_path / "answer", "::answer.txt"], check=True)
    assert persons_stick.read(stick, "answer.txt") == "kept"
    blkid = shutil.which("blkid", path="/usr/sbin:/sbin:/usr/bin")
    assert blkid is not None
    told = subprocess.run([blkid, "-p", "-o", "export", stick], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"TYPE=vfat", f"LABEL={persons_stick.LABEL}"} <= set(told) or {"TYPE=vfat", "LABEL=MY\\ WORK"} <= set(told)
