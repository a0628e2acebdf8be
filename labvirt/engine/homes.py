# SPDX-License-Identifier: MIT
"""What a guest is told about its person's work: where the home is, who it is to the file server, and the sentence for its screen."""

from __future__ import annotations

from labvirt.domain.forgetting import forgetting
from labvirt.domain.guest import Guest, Purpose
from labvirt.domain.home import Home, Protocol, parse_home
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.profile import Profile
from labvirt.engine.world import World


def home_of(profile: Profile, lab: Lab, identity: SeatIdentity, terminal: str | None, purpose: Purpose) -> Home | None:
    """Of this start. None: the profile has none, it is no seat's guest (what an image or a canary holds is nobody's work), or a variable
    has no value, such as %TERMINAL% where the seat has no terminal yet."""
    if profile.home is None or purpose is not Purpose.SEAT:
        return None
    values = {"LAB": lab.name, "SEAT": str(identity.seat), "GUEST": identity.guest, "TERMINAL": terminal or "", "USER": profile.user or ""}
    return parse_home(profile.home).filled(values)


def told_of(guest: Guest, profile: Profile, lab: Lab, identity: SeatIdentity, terminal: str | None) -> tuple[tuple[str, str], ...]:
    """For LaunchSpec.told: `forgets`, and `home` where there is one."""
    purpose = Purpose.SEAT if guest.purpose is Purpose.TEMPLATE else guest.purpose  # seats' guests begin where it is frozen
    home = home_of(profile, lab, identity, terminal, purpose)
    sentence = ("forgets", forgetting(profile, lab, home, purpose))
    return (sentence,) if home is None else (sentence, ("home", str(home)))


def has_login(world: World, profile: Profile, told: tuple[tuple[str, str], ...]) -> bool:
    """Is there a login for the share that this guest is told?"""
    return dict(told).get("home", "").startswith(f"{Protocol.SMB}:") and world.homes.has(profile.name)
