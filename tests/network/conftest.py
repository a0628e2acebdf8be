# SPDX-License-Identifier: MIT
"""Networks for the tests of this folder: each test has its own, and nothing of it stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network.namespace import Namespace


@pytest.fixture
def own_network() -> Iterator[Namespace]:
    """The test runs in a network namespace of its own; its processes end with it."""
    namespace = Namespace()
    try:
        with namespace.entered():
            yield namespace
    finally:
        namespace.close()
