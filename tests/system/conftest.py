# SPDX-License-Identifier: MIT
"""What system tests share: leftovers of killed runs are cleared away first, the tiny image is built once, a house is made on demand."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system import netns
from tests.system.house import House

numbers = itertools.count(1)
RECIPE = Path(__file__).parents[2] / "images" / "tiny" / "build.py"


@pytest.fixture(scope="session", autouse=True)
def _nothing_left() -> Iterator[None]:
    netns.remove_leftovers()
    yield
    assert not [name for name in netns.names() if name.startswith(netns.own_prefix())]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny guest's image; from the cache when its recipe did not change."""
    image = tmp_path_factory.mktemp("image") / "tiny.qcow2"
    subprocess.run([sys.executable, "-I", str(RECIPE), "--out", str(image)], check=True, capture_output=True, timeout=300)
    return image


MakeHouse = Callable[..., House]


@pytest.fixture(scope="module")
def make_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeHouse]:
    """Houses that are gone when the module's tests are over."""
    with ExitStack() as stack:

        def make(*, deep: bool = False) -> House:
            return stack.enter_context(House(tmp_path_factory.mktemp("house"), next(numbers), deep=deep))

        yield make


CLONING_SEATS = 3


@pytest.fixture(scope="module")
def cloning_house(make_house: MakeHouse, tiny: Path) -> House:
    """Its seats are instant clones as soon as their template is made; a version is published while they run."""
    house = make_house()
    house.set_up(tiny, CLONING_SEATS, profile=("--instant-clone", "--session-policy", "alongside"))
    (house.state / "labvirt.toml").write_text("template_settle_seconds = 3\n")
    house.serve()
    return house
