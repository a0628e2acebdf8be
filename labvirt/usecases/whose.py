# SPDX-License-Identifier: MIT
"""Which labs a thing belongs to, from what is kept of it. One function for each kind of thing that a use case takes by name.

A thing that is not there belongs to the site: who looks after the site hears that it does not exist, everybody else the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.draft import Draft
from labvirt.domain.guest import Guest, Purpose, RunId
from labvirt.domain.job import Job, JobKind
from labvirt.domain.profile import Profile
from labvirt.domain.reach import EVERYWHERE, SITE, Reach
from labvirt.domain.setting import Scope
from labvirt.domain.terminal import Stranger
from labvirt.errors import InvalidInput, NotFound
from labvirt.usecases import finding

_SEAT = re.compile(r"(.+)-[a-z]?[0-9]+\Z")


def lab(work: UnitOfWork, name: str) -> Reach:
    return Reach(frozenset({name}))


def terminal(work: UnitOfWork, name: str) -> Reach:
    found = work.terminals.get(name)
    return guest(work, name) if found is None else lab(work, found.lab)


def guest(work: UnitOfWork, name: str) -> Reach:
    """By the name of the guest, of its terminal, or of a seat that never had one. A special guest touches the image it works on too."""
    found = work.guests.get(name)
    if found is not None:
        return of_guest(work, found)
    there = work.terminals.get(name)
    if there is not None:
        return lab(work, there.lab)
    match = _SEAT.match(name)
    return lab(work, match[1]) if match and work.labs.get(match[1]) is not None else SITE


def of_guest(work: UnitOfWork, found: Guest) -> Reach:
    own = lab(work, found.lab)
    return own | draft(work, found.source) if found.purpose is Purpose.ADMIN and found.source else own


def profile(work: UnitOfWork, name: str) -> Reach:
    found = work.profiles.get(name)
    return SITE if found is None else of_profile(found)


def of_profile(found: Profile) -> Reach:
    return Reach(found.labs) if found.labs else EVERYWHERE


def image(work: UnitOfWork, name: str) -> Reach:
    """The labs of the profiles that use it; of none, the site's."""
    reach = SITE
    for each in work.profiles.list():
        if any(slot.image == name for slot in each.slots):
            reach |= of_profile(each)
    return reach


def draft(work: UnitOfWork, name: str) -> Reach:
    """Of its image, and of the lab where it is worked on. By its own name, or that of the image whose only draft is meant."""
    found = work.drafts.get(name)
    if found is not None:
        return of_draft(work, found)
    reach = image(work, name.partition(".")[0])
    for each in work.drafts.of_image(name):
        reach |= lab(work, each.lab)
    return reach


def of_draft(work: UnitOfWork, found: Draft) -> Reach:
    return image(work, found.image) | lab(work, found.lab)


def kept(work: UnitOfWork, run: str) -> Reach:
    """By the run, or by the guest or terminal whose last run is meant."""
    try:
        return guest(work, RunId.parse(run).guest)
    except InvalidInput:
        return guest(work, run)


def job(work: UnitOfWork, number: int) -> Reach:
    try:
        return of_job(work, work.jobs.one(number))
    except NotFound:
        return SITE


def of_job(work: UnitOfWork, found: Job) -> Reach:
    """Of what it works on."""
    if found.kind is JobKind.GARBAGE:
        return SITE
    if found.kind is JobKind.RESCUE_FILES:
        return kept(work, found.subject)
    if found.kind is JobKind.TEMPLATE:
        return profile(work, found.subject)
    reach = image(work, found.arguments.get("image") or found.subject.partition(":")[0])
    return reach | lab(work, found.arguments["lab"]) if found.arguments.get("lab") else reach


def level(work: UnitOfWork, found: Any) -> Reach:
    """Of a level of the terminals' settings."""
    if found.scope is Scope.LAB:
        return lab(work, found.subject)
    return terminal(work, found.subject) if found.scope is Scope.TERMINAL else EVERYWHERE


def stranger(work: UnitOfWork, code_or_id: str) -> Reach:
    found = finding.stranger_of(work, code_or_id)
    return EVERYWHERE if found is None else of_stranger(work, found)


def of_stranger(work: UnitOfWork, found: Stranger) -> Reach:
    """Of the lab in whose network it stands; outside of all of them anybody's who looks after a lab."""
    there = [each.name for each in work.labs.list() if found.address is not None and found.address in each.network.network]
    return Reach(frozenset(there)) if there else EVERYWHERE


def affinity(work: UnitOfWork, labs: Collection[str]) -> Reach:
    """Of what shall be used in these labs; in none: in every one."""
    return Reach(frozenset(labs)) if labs else EVERYWHERE


def made_profile(work: UnitOfWork, made: Profile) -> Reach:
    """Of a profile that is not there yet."""
    return of_profile(made)


KINDS: Mapping[str, Callable[[UnitOfWork, Any], Reach]] = {
    "lab": lab,
    "affinity": affinity,
    "terminal": terminal,
    "guest": guest,
    "profile": profile,
    "made_profile": made_profile,
    "image": image,
    "draft": draft,
    "kept": kept,
    "job": job,
    "level": level,
    "stranger": stranger,
}
"""Kind of thing -> whose it is. A use case says which of its arguments is what."""

NOUNS = {"affinity": "lab", "made_profile": "profile", "kept": "kept run", "level": "setting"}
"""What people call it, where that is another word."""
