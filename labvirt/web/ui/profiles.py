# SPDX-License-Identifier: MIT
"""Profiles: the list, one with its preview and its difference from another, and the form that makes, clones and changes one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.contracts.engine import TemplateReport
from labvirt.domain.names import check_name
from labvirt.domain.profile import Bus
from labvirt.errors import Conflict, DriverError, EngineAway, InvalidInput, LabVirtError, NotFound
from labvirt.usecases import catalogue, profiles, templates
from labvirt.web.errors import status_of
from labvirt.web.ui import layout
from labvirt.web.ui import profile_form as form
from labvirt.web.ui.amounts import moment, size
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.retold import error_words

LONGEST = 64


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("profiles", __name__, url_prefix="/profiles")

    @pages.get("")
    def page() -> str:
        return render_template("profiles.html", profiles=profiles.everything(g.ports))

    @pages.get("/<name>")
    def one(name: str) -> str:
        profile = profiles.one(g.ports, check_name(name, "profile"))
        others = [each.name for each in profiles.everything(g.ports) if each.name != name]
        other = request.args.get("with", "")
        difference = profiles.difference(g.ports, name, other) if other in others else None
        labs = [lab for lab in layout.lab_names() if profile.fits(lab) or not profile.active]
        return render_template(
            "profile.html",
            profile=profile,
            groups=form.GROUPS,
            values=form.shown(profile),
            advice=profiles.advice(g.ports, name),
            others=others,
            other=other,
            difference=difference,
            labs=labs,
            clones=_clones(name) if profile.instant_clone else None,
            size=size,
            moment=moment,
        )

    @pages.get("/<name>/preview")
    def preview(name: str) -> str:
        lab, seat = request.args.get("lab", "")[:LONGEST], request.args.get("seat", "1")
        argv: tuple[str, ...] = ()
        why = ""
        profiles.one(g.ports, name)
        try:
            argv = profiles.preview(g.ports, name, lab, int(seat) if seat.isascii() and seat.isdigit() else 0)
        except LabVirtError as error:
            why = error_words(error)
        return render_template("profile_preview.html", argv=argv, why=why, profile=name, lab=lab, seat=seat)

    @pages.get("/<name>/edit")
    def edit(name: str) -> str:
        return _form(form.shown(profiles.one(g.ports, check_name(name, "profile"))), name=name)

    @pages.get("/+new")
    def new() -> str:
        return _form({**form.shown(form.NO_PROFILE), "slots": []}, name="")

    @pages.post("/+new")
    def add() -> AnyResponse:
        values, name = _sent(), request.form.get("name", "").strip()[:LONGEST]
        try:
            check_name(name, "name")
            changes = form.parsed(values)
            profiles.add(g.ports, replace(form.NO_PROFILE, name=name, **changes))
        except (InvalidInput, Conflict, NotFound) as error:
            return Response(_form(values, name="", wrong=error, new_name=name), status_of(error), mimetype="text/html")
        layout.told(_("The profile %s is there.") % name)
        return redirect(url_for("profiles.one", name=name), 303)

    @pages.post("/<name>/edit")
    def change(name: str) -> AnyResponse:
        values = _sent()
        try:
            profiles.change(g.ports, check_name(name, "profile"), **form.parsed(values))
        except (InvalidInput, Conflict, NotFound) as error:
            return Response(_form(values, name=name, wrong=error), status_of(error), mimetype="text/html")
        layout.told(_("The profile %s is changed. Guests that run keep what they were started with.") % name)
        return redirect(url_for("profiles.one", name=name), 303)

    @pages.post("/<name>/do")
    def do(name: str) -> AnyResponse:
        told = request.form
        new_name = told.get("new_name", "").strip()[:LONGEST]
        profiles.one(g.ports, name)
        try:
            if told.get("do") == "clone":
                profiles.clone(g.ports, name, new_name)
                layout.told(_("%s is a copy, and inactive until you say so.") % new_name)
                return redirect(url_for("profiles.edit", name=new_name), 303)
            if told.get("do") == "remove":
                profiles.remove(g.ports, name)
                layout.told(_("The profile %s is gone.") % name)
                return redirect(url_for("profiles.page"), 303)
            if told.get("do") == "template":
                job = templates.build(g.ports, name, by=g.ports.caller.name)
                return redirect(url_for("jobs.one", number=job.number), 303)
            if told.get("do") == "remove-template":
                number = told.get("number", "")
                templates.remove(g.ports, name, int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0)
                layout.told(_("The template %s is gone.") % f"{name}.t{number}")
                return redirect(url_for("profiles.one", name=name), 303)
            raise InvalidInput("do", "must be clone, remove, template or remove-template")
        except LabVirtError as error:
            layout.refused(error)
        return redirect(url_for("profiles.one", name=name), 303)

    return pages


def _clones(name: str) -> TemplateReport:
    """What there is on the host; where nobody can say, why."""
    try:
        return templates.of_profile(g.ports, name)
    except (EngineAway, DriverError) as error:
        return TemplateReport(problem=error.sentence.rstrip("."))


def _sent() -> dict[str, Any]:
    told = request.form
    slots = list(zip(told.getlist("disk"), told.getlist("disk_version"), told.getlist("disk_bus"), strict=False))[: form.MOST_SLOTS]
    return form.tried(told, [lab[:LONGEST] for lab in told.getlist("labs")], [(a[:LONGEST], b[:9], c[:LONGEST]) for a, b, c in slots])


def _form(values: dict[str, Any], *, name: str, wrong: LabVirtError | None = None, new_name: str = "") -> str:
    return render_template(
        "profile_form.html",
        name=name,
        new_name=new_name,
        groups=form.GROUPS,
        values=values,
        wrong=wrong,
        wrong_field=wrong.field.split(".")[0] if isinstance(wrong, InvalidInput) else "",
        images=[each.image.name for each in catalogue.everything(g.ports) if each.image.binned_at is None],
        buses=tuple(Bus),
        labs=layout.lab_names(),
        rows=[*values["slots"], *[("", "", str(Bus.VIRTIO))] * 2][: form.MOST_SLOTS],
    )
