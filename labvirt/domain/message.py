# SPDX-License-Identifier: MIT
"""What whoever sits at a seat is told: a message of the teacher, and how the end of a lesson is counted down. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from labvirt.domain.guest import Guest
from labvirt.errors import InvalidInput

LONGEST_TEXT = 140
"""Beside the notice of a switch-off (some 60 characters) it fits the 200 characters that a terminal shows."""
LONGEST_MINUTES = 1440
_ENDS = re.compile(r"The lesson ends at [0-9]{2}:[0-9]{2}")
LAST_CALLS = (1, 5)
"""So many minutes before the end it is said anew, the smallest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One sentence for whoever sits at this guest, until then."""

    guest: str
    text: str
    until: datetime

    def __post_init__(self) -> None:
        if not 1 <= len(self.text) <= LONGEST_TEXT or not self.text.isprintable() or not self.text.strip():
            raise InvalidInput("sentence", f"must be 1 to {LONGEST_TEXT} printable characters in one line")


def end_of_lesson(at: datetime, *, fresh: bool) -> str:
    """The notice from now until shortly before the end. `at` in any zone; people read the clock on the wall."""
    what = "started afresh" if fresh else "switched off"
    return f"The lesson ends at {at.astimezone():%H:%M}: this computer is {what} then. Please save your work."


def is_end_of_lesson(guest: Guest) -> bool:
    """Was this guest told that its lesson ends?"""
    return guest.due_at is not None and _ENDS.match(guest.notice) is not None


def notice_now(guest: Guest, message: Message | None, now: datetime) -> str:
    """What is said to whoever sits there now: why and when it goes off, in the last minutes how many are left, and the message."""
    notice = guest.notice
    if guest.due_at is not None and is_end_of_lesson(guest):
        left = (guest.due_at - now).total_seconds() / 60
        call = next((minutes for minutes in LAST_CALLS if left <= minutes), None)
        if call is not None:
            notice = f"Time is up in {call} minute{'' if call == 1 else 's'}. Please save your work."
    said = message.text if message is not None and message.until > now else ""
    return " ".join(part for part in (notice, said) if part)
