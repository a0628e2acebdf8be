# SPDX-License-Identifier: MIT
"""Jobs: long work with its step, its bytes, its time left, its log, and a button that ends it."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.errors import LabVirtError
from labvirt.usecases import jobs
from labvirt.web.ui import layout
from labvirt.web.ui.amounts import JobWords, job_words, moment
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import fragment


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("jobs", __name__, url_prefix="/jobs")

    @pages.get("")
    def page() -> str:
        return render_template("jobs.html", jobs=_jobs(), moment=moment)

    @pages.get("/part")
    def part() -> Response:
        return fragment(render_template("jobs_part.html", jobs=_jobs(), moment=moment))

    @pages.get("/<int:number>")
    def one(number: int) -> str:
        return render_template("job.html", **_one(number))

    @pages.get("/<int:number>/part")
    def one_part(number: int) -> Response:
        return fragment(render_template("job_part.html", **_one(number)))

    @pages.post("/<int:number>/cancel")
    def cancel(number: int) -> AnyResponse:
        jobs.one(g.ports, number)
        try:
            job = jobs.cancel(g.ports, number, by=layout.name_of_caller())
            layout.told(_("The job %d is cancelled.") % number if job.ended else _("The job %d ends soon.") % number)
        except LabVirtError as error:
            layout.refused(error)
        return redirect(layout.back(url_for("jobs.one", number=number)), 303)

    def _one(number: int) -> dict[str, object]:
        job = jobs.one(g.ports, number)
        return {"words": job_words(job, g.ports.clock.now()), "lines": jobs.lines(g.ports, number), "moment": moment}

    def _jobs() -> list[JobWords]:
        now = g.ports.clock.now()
        unended = request.args.get("show") == "running"
        return [job_words(job, now) for job in jobs.everything(g.ports, unended=unended)]

    return pages
