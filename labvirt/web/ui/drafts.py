# SPDX-License-Identifier: MIT
"""An update: the admin session that is open, its machine, and its ends: publish, keep, discard."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import catalogue, profiles, session_start, sessions
from labvirt.web.ui import layout
from labvirt.web.ui.amounts import moment, size
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import fragment

LONGEST = 200


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("drafts", __name__, url_prefix="/drafts")

    @pages.post("")
    def start() -> AnyResponse:
        told = request.form
        profile = profiles.one(g.ports, told.get("profile", "")[:LONGEST])
        try:
            job = session_start.start(
                g.ports,
                profile.name,
                by=layout.name_of_caller(),
                lab=told.get("lab", "")[:LONGEST] or None,
                image=told.get("image", "")[:LONGEST] or None,
                draft=told.get("draft", "")[:LONGEST] or None,
            )
            return redirect(url_for("jobs.one", number=job.number), 303)
        except LabVirtError as error:
            layout.refused(error)
        return redirect(layout.back(url_for("images.page")), 303)

    @pages.get("/<name>")
    def one(name: str) -> str:
        return render_template("draft.html", **_seen(name))

    @pages.get("/<name>/now")
    def now(name: str) -> Response:
        seen = _seen(name)
        answer = fragment(render_template("draft_now.html", **seen))
        if request.args.get("buttons", seen["buttons"]) != seen["buttons"]:
            answer.headers["HX-Refresh"] = "true"  # htmx loads the whole page: what can be done with it is another thing now
        return answer

    @pages.post("/<name>/do")
    def do(name: str) -> AnyResponse:
        told, by = request.form, layout.name_of_caller()
        image = sessions.one(g.ports, name).draft.image
        try:
            if told.get("do") == "publish":
                job = sessions.publish(
                    g.ports, name, by=by, note=told.get("note", "")[:LONGEST], override=told.get("override", "")[:LONGEST]
                )
                return redirect(url_for("jobs.one", number=job.number), 303)
            if told.get("do") == "keep":
                sessions.keep(g.ports, name, by=by)
                layout.told(_("%s is kept as it is: go on another day.") % name)
            elif told.get("do") == "discard":
                sessions.discard(g.ports, name, by=by)
                layout.told(_("%s lies in the recycle bin.") % name)
            else:
                raise InvalidInput("do", "must be publish, keep or discard")
        except LabVirtError as error:
            layout.refused(error)
            return redirect(url_for("drafts.one", name=name), 303)
        return redirect(url_for("images.one", name=image), 303)

    def _seen(name: str) -> dict[str, object]:
        view = sessions.one(g.ports, name)
        image = catalogue.one(g.ports, view.draft.image)
        candidate = next((each for each in image.details if each.version.number == view.draft.candidate), None)
        buttons = f"{view.draft.state} {'on' if view.guest and view.guest.alive else 'off'}"
        return {"view": view, "draft": view.draft, "candidate": candidate, "buttons": buttons, "size": size, "moment": moment}

    return pages
