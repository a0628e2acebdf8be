# SPDX-License-Identifier: MIT
"""Jobs. A job that was not numbered yet has no number in its row."""

from __future__ import annotations

import json
from collections.abc import Mapping

from labvirt.database.mapping.row import Row, maybe_text, maybe_time, time_of, time_text
from labvirt.domain.job import Job, JobError, JobKind, JobState


def job_row(job: Job) -> Row:
    """Without its number."""
    return {
        "kind": str(job.kind),
        "subject": job.subject,
        "asked_by": job.asked_by,
        "asked_at": time_text(job.asked_at),
        "arguments": _texts(job.arguments),
        "state": str(job.state),
        "attempts": job.attempts,
        "started_at": maybe_text(job.started_at),
        "ended_at": maybe_text(job.ended_at),
        "step": job.step,
        "step_since": maybe_text(job.step_since),
        "done": job.done,
        "total": job.total,
        "unit": job.unit,
        "cancel": int(job.cancel),
        "result": _texts(job.result),
        "error": _texts({"code": job.error.code, "sentence": job.error.sentence, "hint": job.error.hint}) if job.error else None,
    }


def job_of(row: Row) -> Job:
    return Job(
        number=row["number"],
        kind=JobKind(row["kind"]),
        subject=row["subject"],
        asked_by=row["asked_by"],
        asked_at=time_of(row["asked_at"]),
        arguments=_of_texts(row["arguments"]),
        state=JobState(row["state"]),
        attempts=row["attempts"],
        started_at=maybe_time(row["started_at"]),
        ended_at=maybe_time(row["ended_at"]),
        step=row["step"],
        step_since=maybe_time(row["step_since"]),
        done=row["done"],
        total=row["total"],
        unit=row["unit"],
        cancel=bool(row["cancel"]),
        result=_of_texts(row["result"]),
        error=JobError(**_of_texts(row["error"])) if row["error"] else None,
    )


def _texts(pairs: Mapping[str, str]) -> str:
    return json.dumps(dict(pairs), ensure_ascii=False)


def _of_texts(text: str) -> dict[str, str]:
    return {str(name): str(value) for name, value in json.loads(text).items()}
