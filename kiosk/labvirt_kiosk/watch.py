# SPDX-License-Identifier: MIT
"""Watches one viewer until it ends, and ends a SPICE viewer that only shows its own error message any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from labvirt_kiosk.viewer import Run, Viewer

LOOK_SECONDS = 1.0
LOOKS_WITHOUT_CONNECTION = 20
QUICK = 5
"""Looks for each ordinary one until the first connection: its moment belongs to the time line of the boot."""


def watch(
    viewer: Viewer,
    *,
    connected: Callable[[], bool],
    on_connected: Callable[[], None],
    may_end: bool,
    look_seconds: float = LOOK_SECONDS,
) -> Run:
    """How the viewer ended. Calls `on_connected` once, when it is seen connected for the first time.

    With `may_end`, a viewer that is seen without connection in so many looks is ended. The controller plays no part
    in this: a viewer whose connection to its guest stands is never touched.
    """
    seen, without = False, 0
    while not viewer.has_ended_within(look_seconds if seen else look_seconds / QUICK):
        if connected():
            without = 0
            if not seen:
                on_connected()
            seen = True
        else:
            without += QUICK if seen else 1
            if may_end and without >= LOOKS_WITHOUT_CONNECTION * QUICK:
                viewer.end()
                said = "lost its connection" if seen else "could not connect"
                return replace(viewer.wait(), connected=seen, last_line=f"it {said} and showed only a message")
    return replace(viewer.wait(), connected=seen)
