# SPDX-License-Identifier: MIT
"""A draft: the overlay in which an admin session changes an image, from its beginning until it is published or given up.

One session is open per image at a time; drafts that were kept may be many. A published or discarded draft stays for a while
(the recycle bin), because nothing that a teacher made goes away at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from labvirt.domain.names import check_name
from labvirt.errors import Conflict, InvalidInput

_NAME = re.compile(r"([a-z][a-z0-9-]{0,50})\.d([1-9][0-9]{0,8})\Z", re.ASCII)


class DraftState(StrEnum):
    OPEN = "open"
    """An admin session works on it: its guest is wanted."""
    KEPT = "kept"
    """Nobody works on it. It can be opened again, published, or discarded."""
    PUBLISHING = "publishing"
    """A job has it: nobody else may touch it."""
    PUBLISHED = "published"
    DISCARDED = "discarded"


DRAFT_TRANSITIONS: dict[DraftState, frozenset[DraftState]] = {
    DraftState.OPEN: frozenset({DraftState.KEPT, DraftState.PUBLISHING, DraftState.DISCARDED}),
    DraftState.KEPT: frozenset({DraftState.OPEN, DraftState.PUBLISHING, DraftState.DISCARDED}),
    DraftState.PUBLISHING: frozenset({DraftState.KEPT, DraftState.PUBLISHED}),
    DraftState.PUBLISHED: frozenset(),
    DraftState.DISCARDED: frozenset({DraftState.KEPT}),
}
"""From -> to. DISCARDED -> KEPT is the way back out of the recycle bin."""


def draft_name(image: str, number: int) -> str:
    """'tiny.d5': the fifth draft of tiny."""
    name = f"{image}.d{number}"
    check_draft_name(name)
    return name


def check_draft_name(name: str) -> None:
    """Raises InvalidInput."""
    if not _NAME.match(name):
        raise InvalidInput("draft", "is not the name of a draft", hint="It looks like tiny.d5: labvirt admin list")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """`parent` is the version whose files lie below it; `pointer` is what was published when it began: publishing expects it still is."""

    name: str
    image: str
    parent: int
    pointer: int | None
    profile: str
    lab: str
    place: int
    """Number of the disk in the profile that the draft stands for."""
    state: DraftState
    since: datetime
    made_at: datetime
    touched_at: datetime
    """When somebody last did something with it (began, looked at it, connected): idle sessions remind by it."""
    owner: str
    note: str = ""
    guest: str | None = None
    """The session's guest while it is OPEN (and until it is off)."""
    candidate: int | None = None
    """The version that was sealed from exactly its present content; None when there is none, or when it was opened again since."""
    reminded_at: datetime | None = None

    def __post_init__(self) -> None:
        check_draft_name(self.name)
        check_name(self.image, "image")
        if self.parent < 1:
            raise InvalidInput("parent", "must be 1 or more")

    @property
    def alive(self) -> bool:
        """Still of use to somebody: not in the bin, not published."""
        return self.state in (DraftState.OPEN, DraftState.KEPT, DraftState.PUBLISHING)

    def moved(self, state: DraftState, now: datetime) -> Draft:
        """In its next state; the same draft when it is in it already. Raises Conflict for a step that the table forbids."""
        if state is self.state:
            return self
        if state not in DRAFT_TRANSITIONS[self.state]:
            raise Conflict(f"The draft {self.name} is {self.state}: it cannot become {state}.", hint="labvirt admin list")
        changed = replace(self, state=state, since=now, touched_at=now)
        return replace(changed, candidate=None) if state is DraftState.OPEN else changed
