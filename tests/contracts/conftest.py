# SPDX-License-Identifier: MIT
"""The drivers that contract tests run over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contracts.workshop import WORKSHOPS, Ground, Workshop, clear_leftovers, parameters


@pytest.fixture(scope="session")
def _cleared() -> None:
    clear_leftovers()


@pytest.fixture
def ground(_cleared: None) -> Iterator[Ground]:
    ground = Ground()
    yield ground
    ground.close()


@pytest.fixture(params=parameters())
def workshop(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Workshop]:
    """Each driver in turn."""
    made = WORKSHOPS[request.param](ground.path)
    yield made
    made.close()


@pytest.fixture
def qemu(ground: Ground) -> Iterator[Workshop]:
    """QEMU alone, for what only it promises."""
    made = WORKSHOPS["qemu"](ground.path)
    yield made
    made.close()
