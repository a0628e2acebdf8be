# SPDX-License-Identifier: MIT
"""Images: the list, one with its versions and who needs them, upload, the recycle bin, and a canary's picture."""

from __future__ import annotations

from math import isfinite

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.names import check_name
from labvirt.domain.right import Right
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import administration, catalogue, imports, profiles, recycling, sessions, uploads, versions
from labvirt.usecases.looking import canary_picture
from labvirt.web.ui import layout
from labvirt.web.ui.amounts import moment, size
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.screens import scale

LONGEST = 120


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("images", __name__, url_prefix="/images")

    @pages.get("")
    def page() -> str:
        seen = catalogue.everything(g.ports)
        return render_template(
            "images.html",
            images=[each for each in seen if each.image.binned_at is None],
            binned=[each for each in seen if each.image.binned_at is not None],
            uploads=uploads.everything(g.ports) if g.ports.uploads is not None and layout.may(Right.STORE) else (),
            size=size,
            moment=moment,
        )

    @pages.get("/<name>")
    def one(name: str) -> str:
        view = catalogue.one(g.ports, check_name(name, "image"))
        open_drafts = [each for each in sessions.everything(g.ports) if each.draft.image == name]
        updatable = [each for each in administration.all_administrative(g.ports) if any(disk.image == name for disk in each.disks)]
        told = {"drafts": open_drafts, "updatable": updatable, "tags": _tags(view), "labs": _labs(updatable)}
        return render_template("image.html", view=view, size=size, moment=moment, **told)

    @pages.get("/<name>/<int:number>/canary.png")
    def canary(name: str, number: int) -> Response:
        png = scale(canary_picture(g.ports, check_name(name, "image"), number), f"{name} v{number}")
        return Response(png, mimetype="image/png", headers={"Cache-Control": "private, max-age=60"})

    @pages.post("/+blank")
    def blank() -> AnyResponse:
        name = _text("name")
        try:
            job = imports.blank(g.ports, check_name(name, "name"), gib=gib_of(_text("gib")), by=layout.name_of_caller(), note=_text("note"))
            return redirect(url_for("jobs.one", number=job.number), 303)
        except LabVirtError as error:
            layout.refused(error)
        return redirect(url_for("images.page"), 303)

    @pages.post("/<name>/do")
    def do(name: str) -> AnyResponse:
        by, told = layout.name_of_caller(), request.form.get("do", "")
        catalogue.one(g.ports, name)
        try:
            number = _number() if told.endswith(("-version", "-this")) else 0
            if told == "undo":
                image = versions.rollback(g.ports, name, by=by)
                layout.told(
                    _("%(image)s is v%(number)s again. Seats take it at their next start.") % {"image": name, "number": image.published}
                )
            elif told == "publish-this":
                versions.publish(g.ports, name, number, by=by, override=_text("override"))
                layout.told(_("%(image)s v%(number)d is published. Seats take it at their next start.") % {"image": name, "number": number})
            elif told in ("try-this", "flatten-this"):
                job = (versions.test if told == "try-this" else versions.flatten)(g.ports, name, number, by=by)
                return redirect(url_for("jobs.one", number=job.number), 303)
            elif told == "bin":
                recycling.bin_image(g.ports, name, by=by)
                layout.told(_("%s is in the recycle bin.") % name)
            elif told == "restore":
                recycling.restore_image(g.ports, name, by=by)
                layout.told(_("%s is out of the recycle bin, as it was.") % name)
            elif told == "bin-version":
                recycling.bin_version(g.ports, name, number, by=by)
                layout.told(_("%s is in the recycle bin.") % f"{name} v{number}")
            elif told == "restore-version":
                recycling.restore_version(g.ports, name, number, by=by)
                layout.told(_("%s is out of the recycle bin, as it was.") % f"{name} v{number}")
            else:
                raise InvalidInput("do", "is no such act")
        except LabVirtError as error:
            layout.refused(error)
        return redirect(layout.back(url_for("images.one", name=name)), 303)

    return pages


def gib_of(text: str) -> float:
    """A size as people write it. Raises InvalidInput."""
    try:
        amount = float(text.replace(",", "."))
    except ValueError as error:
        raise InvalidInput("gib", "must be a number") from error
    if not isfinite(amount):
        raise InvalidInput("gib", "must be a number")
    return amount


def _labs(updatable: list[administration.AdministrativeView]) -> dict[str, list[str]]:
    """Profile -> the labs of the caller in which its session may be."""
    mine = [lab for lab in layout.lab_names() if layout.may(Right.UPDATE, lab)]
    return {each.profile: [lab for lab in mine if _fits(each.profile, lab)] for each in updatable}


def _fits(name: str, lab: str) -> bool:
    profile = profiles.one(g.ports, name)
    return not profile.labs or lab in profile.labs


def _tags(view: catalogue.ImageView) -> dict[int, list[tuple[str, str, str]]]:
    """(tone, icon, words) of each version."""
    told: dict[int, list[tuple[str, str, str]]] = {}
    for each in view.details:
        tags = []
        if each.published:
            tags.append(("good", "circle-check", _("published")))
        elif view.image.previous == each.version.number:
            tags.append(("", "arrow-back-up", _("undo goes here")))
        if each.version.binned_at is not None:
            tags.append(("wait", "trash", _("in the recycle bin")))
        if each.damage:
            tags.append(("bad", "alert-triangle", _("damaged")))
        if each.canary is not None:
            tags.append(("good", "check", _("tried, well")) if each.canary.green else ("bad", "x", _("tried, not well")))
        told[each.version.number] = tags
    return told


def _text(field: str) -> str:
    return request.form.get(field, "").strip()[:LONGEST]


def _number() -> int:
    text = _text("number")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidInput("number", "must be the number of a version")
    return int(text)
