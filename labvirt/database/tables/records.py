# SPDX-License-Identifier: MIT
"""Jobs, and small facts of the site."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from labvirt.database.tables.columns import FLAG, filled, maybe, metadata, name, number, one_of
from labvirt.domain.job import JobKind, JobState

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    filled("kind"),
    filled("subject"),
    filled("asked_by"),
    filled("asked_at"),
    filled("arguments"),
    filled("state"),
    number("attempts"),
    maybe("started_at"),
    maybe("ended_at"),
    filled("step"),
    maybe("step_since"),
    number("done"),
    number("total"),
    filled("unit"),
    number("cancel"),
    filled("result"),
    maybe("error"),
    one_of("kind", JobKind),
    one_of("state", JobState),
    one_of("cancel", FLAG),
    Index("jobs_of_state", "state", "number"),
)

job_lines = Table(
    "job_lines",
    metadata,
    Column("job", Integer, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    filled("at"),
    filled("line"),
)

facts = Table("facts", metadata, name(), filled("value"))

kept_answers = Table(
    "kept_answers",
    metadata,
    Column("who", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    filled("mark"),
    filled("process"),
    filled("at"),
    number("status"),
    filled("headers"),
    filled("body"),
    Index("kept_answers_at", "at"),
)
"""What requests with an Idempotency-Key were answered, for a day."""
