# SPDX-License-Identifier: MIT
"""How a run began that had waited for its seat."""

from __future__ import annotations

import pytest

from labvirt.domain import origin
from labvirt.domain.pool import SpareKind


@pytest.mark.parametrize(
    "kind, began, told",
    [
        (SpareKind.PAUSED, "desktop.t3", "paused clone of desktop.t3"),
        (SpareKind.PRESPAWNED, "desktop.t3", "prespawned clone of desktop.t3"),
        (SpareKind.READY, "clone of desktop.t3", "ready: clone of desktop.t3"),
        (SpareKind.READY, "boot", "ready: boot"),
        (SpareKind.READY, "boot: its template is not made yet", "ready: boot: its template is not made yet"),
    ],
)
def test_the_words_that_pages_translate(kind: SpareKind, began: str, told: str) -> None:
    assert origin.of_spare(kind, began) == told
