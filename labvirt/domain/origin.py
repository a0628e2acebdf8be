# SPDX-License-Identifier: MIT
"""How the run of a guest that had waited for its seat began, as its row tells it: English, translated where a page shows it."""

from __future__ import annotations

from labvirt.domain.pool import SpareKind


def of_spare(kind: SpareKind, origin: str) -> str:
    """`origin`: of one that ran already how it began itself ('boot', 'clone of desktop.t3'), of the others the name of their template."""
    name = origin
    if kind is SpareKind.PAUSED:
        return f"paused clone of {name}"
    if kind is SpareKind.PRESPAWNED:
        return f"prespawned clone of {name}"
    return f"ready: {origin}"
