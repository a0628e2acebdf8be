# SPDX-License-Identifier: MIT
"""Bytes, moments and jobs as words for people, in the language of the request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from labvirt.domain.job import Job, JobKind, JobState
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import marked
from labvirt.web.ui.retold import retold
from labvirt.web.ui.seats import age

KINDS = {
    JobKind.IMPORT: marked("import"),
    JobKind.BLANK: marked("empty disk"),
    JobKind.EXPORT: marked("export"),
    JobKind.SCRUB: marked("read all again"),
    JobKind.SESSION: marked("open a session"),
    JobKind.PUBLISH: marked("publish"),
    JobKind.CANARY: marked("try"),
    JobKind.TEMPLATE: marked("template"),
    JobKind.FLATTEN: marked("flatten"),
    JobKind.GARBAGE: marked("collect garbage"),
    JobKind.RESCUE_FILES: marked("rescue files"),
    JobKind.BACKUP: marked("back up"),
}
STATES = {
    JobState.QUEUED: ("wait", "clock", marked("waits")),
    JobState.RUNNING: ("busy", "refresh", marked("runs")),
    JobState.DONE: ("good", "check", marked("done")),
    JobState.FAILED: ("bad", "x", marked("failed")),
    JobState.CANCELLED: ("", "ban", marked("cancelled")),
}


def size(count: int | float | None) -> str:
    """'1.4 GiB'; an en dash for what is not known."""
    if count is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError


def moment(at: datetime | None) -> str:
    """By the clock on the wall of the controller."""
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWords:
    """A job as a page shows it. `percent` None: how much is left cannot be said. `may_cancel`: who looks is given the button."""

    job: Job
    kind: str
    tone: str
    icon: str
    state: str
    waits: str
    percent: int | None
    progress: str
    may_cancel: bool


def job_words(job: Job, now: datetime, *, may_cancel: bool) -> JobWords:
    """What it does, since when, how fast, and how long it will take: no wait without words."""
    tone, icon, state = STATES[job.state]
    since = int((now - (job.step_since or job.started_at or job.asked_at)).total_seconds())
    waits = ""
    if job.state is JobState.QUEUED:
        waits = _("Waits for a worker for %s") % age(max(0, since))
    elif job.state is JobState.RUNNING:
        waits = _("Now: %(step)s, for %(age)s") % {"step": retold(job.step) or _("begins"), "age": age(max(0, since))}
    parts = []
    if job.total and job.unit == "bytes":
        parts.append(_("%(done)s of %(total)s") % {"done": size(job.done), "total": size(job.total)})
        rate = job.rate(now)
        if rate:
            parts.append(_("%s per second") % size(rate))
    elif job.total:
        parts.append(_("%(done)s of %(total)s") % {"done": job.done, "total": job.total})
    left = job.seconds_left(now)
    if left is not None and job.state is JobState.RUNNING:
        parts.append(_("%s left") % age(max(0, int(left))))
    percent = min(100, job.done * 100 // job.total) if job.total else None
    return JobWords(
        job=job,
        kind=_(KINDS[job.kind]),
        tone=tone,
        icon=icon,
        state=_("being cancelled") if job.cancel and not job.ended else _(state),
        waits=waits,
        percent=percent if not job.ended else None,
        progress=" · ".join(parts) if not job.ended else "",
        may_cancel=may_cancel,
    )
