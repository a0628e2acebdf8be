# SPDX-License-Identifier: MIT
"""An archive behind another one, read back by busybox's cpio."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from labvirt.disks.cpio import ALIGNMENT, joined

FILES = {"site/ca.pem": b"certificate\n", "site/empty": b"", "name": b"12345"}


@pytest.mark.parametrize("before", [0, 1, 511, 512, 5_694_825])
def test_cpio_reads_it_where_the_kernel_looks_for_it(tmp_path: Path, before: int) -> None:
    tail = joined(before, FILES)
    begin = -before % ALIGNMENT
    assert tail[:begin] == bytes(begin)
    assert (before + begin) % 4 == 0
    done = subprocess.run(["busybox", "cpio", "-i", "-d"], input=tail[begin:], cwd=tmp_path, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    for name, data in FILES.items():
        assert (tmp_path / name).read_bytes() == data
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o444
    assert joined(before, dict(reversed(FILES.items()))) == tail
