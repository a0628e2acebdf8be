# SPDX-License-Identifier: MIT
"""Is somebody in front of the terminal whose guest waits for its turn? Who is, comes first; who waits long enough comes first too. Pure.

What is known is a terminal's word and what was not done by a person: good enough for an order, which harms nobody when it is wrong.
"""

from __future__ import annotations

from enum import IntEnum

from labvirt.domain.guest import Guest, Purpose

TOUCHED_SECONDS = 60.0
"""A key or the mouse, so lately: somebody is there."""
WOKEN_SECONDS = 900.0
"""A terminal that we have woken boots for nobody, until somebody touches it."""
SILENT_SECONDS = 45.0
"""A kiosk speaks every ten seconds: one that was not heard for so long is off, and its guest is started ahead of need."""
AGE_SECONDS = 60.0
"""Each time that one has waited so long it moves up by one: nobody waits for ever behind those who come later."""


class Attendance(IntEnum):
    """In the order of their turns."""

    IN_FRONT = 0
    """A key was touched a moment ago, or a person opened the session."""
    ASKS = 1
    """Its terminal is on and asks, or nothing is known of it."""
    NOBODY = 2
    """Woken by us, switched off, or without a terminal; or made for later."""


def attendance(guest: Guest, *, touched: float | None, woken: float | None, heard: float | None) -> Attendance:
    """What is known of the guest's terminal, each in seconds ago: a key was `touched` (it says), we have `woken` it, it was `heard`.
    None: never, or not known; a terminal that never speaks (no kiosk) is not silent."""
    if guest.purpose in (Purpose.ADMIN, Purpose.RESCUE):
        return Attendance.IN_FRONT
    if guest.purpose is Purpose.TEMPLATE:
        return Attendance.NOBODY
    if guest.purpose is not Purpose.SEAT:
        return Attendance.ASKS
    if touched is not None and touched <= TOUCHED_SECONDS:
        return Attendance.IN_FRONT
    if guest.terminal is None or (woken is not None and woken <= WOKEN_SECONDS and (touched is None or touched > woken)):
        return Attendance.NOBODY
    if heard is not None and heard > SILENT_SECONDS:
        return Attendance.NOBODY
    return Attendance.ASKS


def rank(attended: Attendance, waited_seconds: float) -> int:
    """Lower comes first; 0 after two times AGE_SECONDS at the latest, and then who asked first comes first."""
    return max(0, int(attended) - int(max(0.0, waited_seconds) // AGE_SECONDS))
