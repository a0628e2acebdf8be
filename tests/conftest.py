# SPDX-License-Identifier: MIT
"""What holds for every test: real ones run last, and say why when they cannot run.

Fixtures of one room live in the conftest.py of that room's folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HOUSES = Path(__file__).parent / "system"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mistakes of logic show before the first guest boots; without root nothing pretends to have been tested.

    `make test` runs the real ones in two groups side by side (xdist, --dist loadgroup): whole houses, and all else. Within a group one
    comes after the other: guests of the same lab and seat have the same name and UUID, and some tests look for them in all of /proc.
    """
    items.sort(key=lambda item: item.get_closest_marker("real") is not None)  # stable: files keep their order
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group("houses" if HOUSES in item.path.parents else "parts"))
    if os.geteuid() != 0:
        no_rights = pytest.mark.skip(reason="needs root: guests, TAP devices and network namespaces are made for real")
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(no_rights)
