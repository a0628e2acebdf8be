# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.simulated import SimLab


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimLab]:
    lab = SimLab(tmp_path)
    yield lab
    lab.close()
