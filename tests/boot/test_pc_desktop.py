# SPDX-License-Identifier: MIT
"""`make boot-test` for a BIOS, as a test: a PC with an empty disk shows its seat's desktop, and keeps it or gets it back whatever dies."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pytest

from tests.boot import boot


@pytest.mark.real
@pytest.mark.timeout(2400)
def test_a_pc_with_an_empty_disk_shows_the_desktop_of_its_seat() -> None:
    with tempfile.TemporaryDirectory(prefix="boot-test-") as folder:
        picture = Path(folder) / "screen.png"
        options = argparse.Namespace(firmware="bios", memory=2048, adopt=False, only_boot=False, picture=picture)
        told = boot.prove(options, Path(folder))
        assert picture.stat().st_size > 0
    assert told["firmware"] == "bios"
