# SPDX-License-Identifier: MIT
"""A teacher's own page: her labs with their maps, and three buttons for what her class starts from: update, publish, undo."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, g, render_template

from labvirt.domain.profile import Profile
from labvirt.domain.right import Right
from labvirt.usecases import administration, catalogue, profiles, sessions
from labvirt.usecases.sessions import SessionView
from labvirt.web.ui import layout, seats
from labvirt.web.ui.looking import Looking, fragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A lab of hers and what its class starts from. `profile` None: nothing is set up yet."""

    lab: seats.LabPart
    profile: Profile | None
    image: str = ""
    published: int | None = None
    previous: int | None = None
    updates: str = ""
    """The profile whose session changes the image; empty: `why_not`."""
    why_not: str = ""
    what_happens: str = ""
    draft: SessionView | None = None


def blueprint(looking: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("mine", __name__, url_prefix="/mine")

    @pages.get("")
    def page() -> str:
        return render_template("mine.html", lessons=_lessons(looking), signs=seats.SIGNS)

    @pages.get("/part")
    def part() -> Response:
        return fragment(render_template("mine_part.html", lessons=_lessons(looking), signs=seats.SIGNS))

    return pages


def _lessons(looking: Looking) -> list[Lesson]:
    overview = looking.overview()
    everything = profiles.everything(g.ports)
    images = {view.image.name: view for view in catalogue.everything(g.ports)}
    administrative = administration.all_administrative(g.ports)
    drafts = sessions.everything(g.ports)
    told = []
    for view in overview.labs:
        if not layout.may(Right.OPERATE, view.lab.name):
            continue
        part = seats.lab_part(view, overview.at, engine=overview.engine is not None)
        fitting = sorted((each for each in everything if each.fits(view.lab.name)), key=lambda each: each.position_in(view.lab.name))
        profile = fitting[0] if fitting else None
        image = next((slot.image for slot in profile.slots if slot.image), None) if profile else None
        if profile is None or image is None or image not in images:
            told.append(Lesson(lab=part, profile=profile))
            continue
        updating = [each for each in administrative if any(disk.image == image for disk in each.disks)]
        ready = next((each for each in updating if not each.why_not), None)
        told.append(
            Lesson(
                lab=part,
                profile=profile,
                image=image,
                published=images[image].image.published,
                previous=images[image].image.previous,
                updates=ready.profile if ready else "",
                why_not="" if ready or not updating else updating[0].why_not,
                what_happens=ready.what_happens if ready else "",
                draft=next((each for each in drafts if each.draft.image == image), None),
            )
        )
    return told
