# SPDX-License-Identifier: MIT
"""What holds for every test: real ones run last, and say why when they cannot run.

Fixtures of one room live in the conftest.py of that room's folder.
"""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mistakes of logic show before the first guest boots; without root nothing pretends to have been tested."""
    items.sort(key=lambda item: item.get_closest_marker("real") is not None)  # stable: files keep their order
    if os.geteuid() != 0:
        no_rights = pytest.mark.skip(reason="needs root: guests, TAP devices and network namespaces are made for real")
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(no_rights)
