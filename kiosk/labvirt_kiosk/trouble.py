# SPDX-License-Identifier: MIT
"""What may go wrong for a kiosk, as one small tree.

`str(trouble)` is a clause that a person in front of the screen understands; the loop says what happens next.

    Trouble
     +-- NoAnswer    the controller is away, or says itself that it cannot answer
     +-- BadAnswer   somebody answers, but not as the protocol says
     +-- NotYet      the controller answers: not now (guest not ready, asked too often)
     +-- Refused     the answer is understood, and this terminal will not do it
"""

from __future__ import annotations


class Trouble(Exception):
    """Anything that keeps the kiosk from showing a guest. `retry_seconds` is the controller's wish, if it told one."""

    def __init__(self, sentence: str, *, retry_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_seconds = retry_seconds


class NoAnswer(Trouble):
    """The controller could not be reached, did not answer in time, or said 503."""


class BadAnswer(Trouble):
    """What came is not an answer of a LabVirt controller: a web page, half a message, garbage."""


class NotYet(Trouble):
    """The controller will answer later; asking again is right."""


class Refused(Trouble):
    """The terminal protects itself: a program or an argument that it will not run."""
