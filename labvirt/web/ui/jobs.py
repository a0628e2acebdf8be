# SPDX-License-Identifier: MIT
"""Jobs: long work with its step, its bytes, its time left, its log, and a button that ends it."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.job import Job
from labvirt.errors import LabVirtError
from labvirt.usecases import jobs
from labvirt.web.ui import layout
from labvirt.web.ui.amounts import JobWords, job_words, moment
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import fragment

GOING = 100
"""So many are looked through for the drawer and counted for the head of a page."""
ENDED = 6
"""So many of them are shown."""
SAID = "drawer-said"
"""Where the drawer says what became of a button of it (templates/base.html)."""


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("jobs", __name__, url_prefix="/jobs")

    @pages.get("")
    def page() -> str:
        return render_template("jobs.html", jobs=_jobs(), moment=moment)

    @pages.get("/part")
    def part() -> Response:
        return fragment(render_template("jobs_part.html", jobs=_jobs(), moment=moment))

    @pages.get("/drawer")
    def drawer() -> Response:
        """What every page can have beside it: all that go on, and the last that ended."""
        going = _words(jobs.everything(g.ports, unended=True, last=GOING))
        ended = [words for words in _words(jobs.everything(g.ports, last=GOING)) if words.job.ended][:ENDED]
        return fragment(render_template("jobs_drawer.html", going=going, ended=ended, moment=moment))

    @pages.get("/count")
    def count() -> Response:
        """For the head of every page."""
        return fragment(render_template("jobs_count.html", count=len(jobs.everything(g.ports, unended=True, last=GOING))))

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
        if request.headers.get("HX-Target") == SAID:  # asked from the drawer: the page stays, and what became of it is said there
            return Response(render_template("told.html"), mimetype="text/html", headers={"HX-Trigger": "labvirt:drawer"})
        return redirect(layout.back(url_for("jobs.one", number=number)), 303)

    def _one(number: int) -> dict[str, object]:
        job = jobs.one(g.ports, number)
        return {"words": _words((job,))[0], "lines": jobs.lines(g.ports, number), "moment": moment}

    def _jobs() -> list[JobWords]:
        return _words(jobs.everything(g.ports, unended=request.args.get("show") == "running"))

    def _words(found: tuple[Job, ...]) -> list[JobWords]:
        now, free = g.ports.clock.now(), jobs.cancellable(g.ports, found)
        return [job_words(job, now, may_cancel=job.number in free) for job in found]

    return pages
