# SPDX-License-Identifier: MIT
"""Kiosks that are switched on together each show their own guest. `make crowd-test` does the same with 30."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.crowd import crowd

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1200)]


def test_kiosks_that_start_together_each_show_their_own_guest(make_house: MakeHouse, tiny: Path) -> None:
    house = make_house()
    figures = crowd(house, tiny, 3)
    assert figures["viewers_started"] >= 3
    house.verify_clean()
