# SPDX-License-Identifier: MIT
"""The sentence that a desktop shows its person: what it keeps, and when it forgets the rest. Only what is so; the guest's own program
says otherwise when a home was promised and is not there.
"""

from __future__ import annotations

from labvirt.domain.guest import Purpose
from labvirt.domain.home import Home, parse_home
from labvirt.domain.lab import Lab, OnLeave
from labvirt.domain.profile import Profile

FORGETS_BYTES = 600
"""As much of it as a desktop reads (images/debian-desktop)."""


def forgetting(profile: Profile, lab: Lab, home: Home | None, purpose: Purpose = Purpose.SEAT) -> str:
    """`home`: the filled address that this start's guest is told; None: it has none."""
    if purpose is Purpose.ADMIN:
        return "This is the image itself: what you change here can be published, and then every desktop made from it has it."
    if purpose is not Purpose.SEAT:
        return "This computer is on trial or under repair: it forgets everything when it is switched off."
    if home is None:
        return f"This computer forgets everything {_when(profile, lab)}. Keep your work somewhere else before you go."
    template = None if profile.home is None else parse_home(profile.home)
    who = "whoever sits here next" if template is None or template.of_a_seat else "whoever else gets such a desktop"
    return (
        f"Your home folder is kept on {home.server}; {who} finds it there too. "
        f"All other places on this computer are forgotten {_when(profile, lab)}."
    )


def _when(profile: Profile, lab: Lab) -> str:
    """When a seat's run ends, and with it what it wrote."""
    grace = _duration(lab.leave_grace_seconds)
    left = {
        OnLeave.KEEP: "when it is switched off or given a fresh start",
        OnLeave.RESET: f"{grace} you leave it, and when it is switched off",
        OnLeave.STOP: f"{grace} you leave it: then it is switched off",
    }[lab.on_leave]
    days = profile.restart_days
    return left if days is None or lab.on_leave is not OnLeave.KEEP else f"{left}, or after {days} day{'' if days == 1 else 's'}"


def _duration(seconds: int) -> str:
    """'as soon as', '45 seconds after', '2 minutes after'; rounded down: nobody is promised more time than there is."""
    if seconds == 0:
        return "as soon as"
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds == size or seconds >= 2 * size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'} after"
    return f"{seconds} seconds after"
