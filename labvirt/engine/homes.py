# SPDX-License-Identifier: MIT
"""What a guest is told about its person's work: where the home is, who it is to the file server, and the sentence for its screen."""

from __future__ import annotations

from labvirt.domain.forgetting import FORGETS_BYTES, forgetting
from labvirt.domain.guest import Guest, Purpose, RunId
from labvirt.domain.home import Home, Protocol, parse_home
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.profile import Profile
from labvirt.domain.seat_note import SEAT_NOTE, seat_note
from labvirt.engine.world import World


def home_of(profile: Profile, lab: Lab, identity: SeatIdentity, terminal: str | None, purpose: Purpose) -> Home | None:
    """Of this start. None: the profile has none, it is no seat's guest (what an image or a canary holds is nobody's work), or a variable
    has no value, such as %TERMINAL% where the seat has no terminal yet."""
    if profile.home is None or purpose is not Purpose.SEAT:
        return None
    values = {"LAB": lab.name, "SEAT": str(identity.seat), "GUEST": identity.guest, "TERMINAL": terminal or "", "USER": profile.user or ""}
    return parse_home(profile.home).filled(values)


def told_of(guest: Guest, profile: Profile, lab: Lab, identity: SeatIdentity, terminal: str | None) -> tuple[tuple[str, str], ...]:
    """For LaunchSpec.told: `forgets`, `home` where there is one, and `seat` where the guest may be an instant clone.

    Then names and lengths are those of its template, whoever it is: what lies in the firmware is read anew in a clone, and how long it is
    was read in the template. `guest` has its run (else it is only shown, and the first is meant).
    """
    purpose = Purpose.SEAT if guest.purpose is Purpose.TEMPLATE else guest.purpose  # seats' guests begin where it is frozen
    home = home_of(profile, lab, identity, terminal, purpose)
    sentence = forgetting(profile, lab, home, purpose)
    if profile.instant_clone:
        note = seat_note(guest.run or RunId(guest.name, 1), name=identity.guest, uuid=identity.uuid)
        return (("forgets", sentence + " " * (FORGETS_BYTES - len(sentence.encode()))), (SEAT_NOTE, note))
    return (("forgets", sentence),) if home is None else (("forgets", sentence), ("home", str(home)))


def has_login(world: World, profile: Profile, told: tuple[tuple[str, str], ...]) -> bool:
    """Is there a login for the share that this guest is told?"""
    return dict(told).get("home", "").startswith(f"{Protocol.SMB}:") and world.homes.has(profile.name)
