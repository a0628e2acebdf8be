# SPDX-License-Identifier: MIT
"""What may be done, and which role may do it. A role is given for one lab or for the whole site."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Right(StrEnum):
    """One kind of act. Use cases ask for exactly one (usecases/rights.py); a button that is not shown is only kindness."""

    LOOK = "look"
    """See a lab: seats, states, versions, jobs of its images. Never a screen."""
    WATCH = "watch"
    """See a guest's screen: pictures, and a console that takes no keys."""
    OPERATE = "operate"
    """Start, stop, reset, fresh machine, power of terminals, messages, end of lesson."""
    CONSOLE = "console"
    """Type into a guest: screen and serial line."""
    SEATS = "seats"
    """Adopt, add, change and remove terminals, and what their PCs show and allow."""
    UPDATE = "update"
    """Admin sessions, publish, undo, canaries, rescue of what a run has written."""
    DESIGN = "design"
    """Profiles: add, clone, change, remove, their checks. A lab's own policy, network and times."""
    STORE = "store"
    """Images themselves: import, upload, blank, recycle bin, export."""
    AUDIT = "audit"
    """Read what was done and by whom."""
    SITE = "site"
    """Hosts, people, labs as such, classes, site-wide settings, garbage collection, backup."""
    PEOPLE = "people"
    """Change people, groups and passwords by a program: only a token that names it has it, beside SITE. Who holds such a token can make
    himself an administrator."""


class Role(StrEnum):
    """What a person is, in a lab or everywhere."""

    ADMINISTRATOR = "administrator"
    LAB_MANAGER = "lab-manager"
    TEACHER = "teacher"
    HELP_DESK = "help-desk"
    VIEWER = "viewer"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.LAB_MANAGER: frozenset(Right) - {Right.SITE, Right.PEOPLE},
    Role.TEACHER: frozenset({Right.LOOK, Right.WATCH, Right.OPERATE, Right.CONSOLE, Right.UPDATE}),
    Role.HELP_DESK: frozenset({Right.LOOK, Right.WATCH, Right.OPERATE, Right.CONSOLE, Right.SEATS}),
    Role.VIEWER: frozenset({Right.LOOK}),
}
"""An administrator of one lab has no SITE right that reaches beyond it: SITE is only ever asked for the whole site."""
