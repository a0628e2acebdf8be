# SPDX-License-Identifier: MIT
"""Where a thing belongs: which labs an act on it touches, and who may see it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.domain.caller import Caller
from labvirt.domain.right import Right


@dataclass(frozen=True, slots=True)
class Reach:
    """The labs that a thing belongs to. None at all: the site's own. `everywhere`: used in every lab (a profile that names none, and its
    images): whoever looks after any lab sees it, only who looks after the site changes it."""

    labs: frozenset[str] = frozenset()
    everywhere: bool = False

    def seen_by(self, caller: Caller) -> bool:
        """In one of its labs is enough: a shared image is seen by all who use it."""
        if self.everywhere:
            return caller.may_somewhere(Right.LOOK)
        return caller.may_in_any(Right.LOOK, self.labs)

    def allows(self, caller: Caller, right: Right) -> bool:
        """In each of its labs: what is shared is changed by who may do that to all who share it."""
        return caller.may(right, None) if self.everywhere else caller.may_in_all(right, self.labs)

    def __or__(self, other: Reach) -> Reach:
        return Reach(self.labs | other.labs, self.everywhere or other.everywhere)

    def __str__(self) -> str:
        return "the whole site" if self.everywhere or not self.labs else ", ".join(sorted(self.labs))


SITE = Reach()
EVERYWHERE = Reach(everywhere=True)
