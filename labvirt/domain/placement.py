# SPDX-License-Identifier: MIT
"""Which profile a terminal gets, and why not another: the rule behind `labvirt guest explain`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labvirt.domain.image import DiskChoice, Image
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Mode, Profile, SlotKind
from labvirt.domain.terminal import Terminal

_NOTHING: Mapping[str, str] = {}
_NONE: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One profile that was looked at. `why` is a sentence: why it was taken, or why not."""

    profile: str
    taken: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`profile` None: nothing can be started here, and `verdicts` say why."""

    profile: Profile | None
    disks: tuple[DiskChoice, ...]
    verdicts: tuple[Verdict, ...]


def disks_of(profile: Profile, images: Mapping[str, Image]) -> tuple[DiskChoice, ...] | str:
    """The versions its disks would use now, or the sentence that says what is missing."""
    choices = []
    for place, slot in enumerate(profile.slots):
        if slot.kind is not SlotKind.DISK or slot.image is None:
            continue
        image = images.get(slot.image)
        version = slot.version if slot.version is not None else image.published if image else None
        if image is None:
            return f"its image {slot.image} does not exist"
        if image.binned_at is not None:
            return f"its image {slot.image} is in the recycle bin"
        if version is None:
            return f"its image {slot.image} has no published version"
        choices.append(DiskChoice(place=place, image=slot.image, version=version))
    return tuple(choices)


def choose(
    lab: Lab,
    terminal: Terminal | None,
    profiles: Iterable[Profile],
    images: Mapping[str, Image],
    *,
    held: Mapping[str, str] = _NOTHING,
    guests: Mapping[str, int] = _NONE,
) -> Choice:
    """The terminal's own profile if it has one, else the first by position (then name) that is active, meant for the lab and startable.

    `held`: image -> why no client may start from it now (an open admin session); `guests`: profile -> how many others it has now.
    """
    verdicts: list[Verdict] = []
    ordered = sorted(profiles, key=lambda p: (p.position_in(lab.name), p.name))
    own = terminal.profile if terminal else None
    if own is not None:
        ordered = [p for p in ordered if p.name == own]
        if not ordered:
            verdicts.append(
                Verdict(profile=own, taken=False, why=f"terminal {terminal.name if terminal else ''} asks for it and it does not exist")
            )
    taken: Profile | None = None
    disks: tuple[DiskChoice, ...] = ()
    for profile in ordered:
        why = _refused(profile, lab) or _held(profile, held) or _full(profile, guests)
        if not why:
            found = disks_of(profile, images)
            if isinstance(found, str):
                why = found
            elif taken is None:
                taken, disks = profile, found
                position = profile.position_in(lab.name)
                reason = "the terminal's own profile" if own else f"the first that can be started in {lab.name} (position {position})"
                verdicts.append(Verdict(profile=profile.name, taken=True, why=reason))
                continue
            else:
                why = f"{taken.name} comes first (position {taken.position_in(lab.name)} before {profile.position_in(lab.name)})"
        verdicts.append(Verdict(profile=profile.name, taken=False, why=why))
    return Choice(profile=taken, disks=disks, verdicts=tuple(verdicts))


def _refused(profile: Profile, lab: Lab) -> str:
    if not profile.active:
        return "it is not active"
    if not profile.fits(lab.name):
        return f"it is meant for {', '.join(sorted(profile.labs))}"
    if profile.mode is Mode.ADMINISTRATIVE:
        return "it is administrative: only admin sessions start it"
    return ""


def _held(profile: Profile, held: Mapping[str, str]) -> str:
    followed = (slot.image for slot in profile.slots if slot.image is not None and slot.version is None)
    return next((held[image] for image in followed if image in held), "")


def _full(profile: Profile, guests: Mapping[str, int]) -> str:
    if profile.max_guests is None or guests.get(profile.name, 0) < profile.max_guests:
        return ""
    return f"it has {guests[profile.name]} guests already, and may have {profile.max_guests}"
