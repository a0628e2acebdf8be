# SPDX-License-Identifier: MIT
"""A small storm of real guests, with the controller killed in its middle. `make storm-test` does the same with 40."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.conftest import MakeHouse
from tests.system.storm import storm

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("clones", [False, True], ids=["boots", "clones"])
def test_a_controller_that_is_killed_in_a_storm_serves_everybody_afterwards(make_house: MakeHouse, tiny: Path, clones: bool) -> None:
    found = storm(make_house(), tiny, 6, kill=True, patience=700, clones=clones)
    assert found["terminals"] == 6
    assert found["page_answers"] > 0
