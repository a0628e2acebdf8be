# SPDX-License-Identifier: MIT
"""The audit: entries that are only ever appended, and the stumps of those that were cut off for their age.

Triggers hold that, whoever writes (audit_is_append_only and the others: `TRIGGERS`). They guard against mistakes and against a program that
was taken over; who can write the file itself can drop them, and is found by the chain.
"""

from __future__ import annotations

from sqlalchemy import DDL, Column, Index, Integer, Table, event

from labvirt.database.tables.columns import filled, maybe, metadata, number, one_of
from labvirt.domain.audit import Outcome
from labvirt.domain.caller import CallerKind

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    filled("at"),
    filled("who"),
    filled("kind"),
    filled("address"),
    filled("verb"),
    filled("noun"),
    filled("subject"),
    maybe("lab"),
    filled("what"),
    filled("before"),
    filled("after"),
    filled("outcome"),
    number("times"),
    filled("seal"),
    one_of("kind", CallerKind),
    one_of("outcome", Outcome),
    Index("audit_of_subject", "subject", "number"),
    Index("audit_of_lab", "lab", "number"),
    Index("audit_of_who", "who", "number"),
)

audit_stumps = Table("audit_stumps", metadata, Column("up_to", Integer, primary_key=True), filled("seal"), filled("at"))

TRIGGERS = (
    """
    CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_is_appended_to BEFORE INSERT ON audit
    WHEN NEW.number <= (SELECT max(coalesce((SELECT max(number) FROM audit), 0), coalesce((SELECT max(up_to) FROM audit_stumps), 0)))
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_is_cut_behind_a_stump BEFORE DELETE ON audit
    WHEN OLD.number > coalesce((SELECT max(up_to) FROM audit_stumps), 0)
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
    """
    CREATE TRIGGER audit_stump_has_the_seal BEFORE INSERT ON audit_stumps
    WHEN NOT EXISTS (SELECT 1 FROM audit WHERE number = NEW.up_to AND seal = NEW.seal)
        OR NEW.up_to >= (SELECT max(number) FROM audit)
    BEGIN SELECT RAISE(ABORT, 'a stump has the seal of an entry that others follow'); END
    """,
    """
    CREATE TRIGGER audit_stump_is_never_changed BEFORE UPDATE ON audit_stumps
    BEGIN SELECT RAISE(ABORT, 'a stump is never changed'); END
    """,
    """
    CREATE TRIGGER audit_stump_is_never_removed BEFORE DELETE ON audit_stumps
    BEGIN SELECT RAISE(ABORT, 'a stump is never removed'); END
    """,
)
"""The one of an insert is for INSERT OR REPLACE too, which removes a row without asking the one of a removal
(sqlite.org/lang_conflict.html)."""

for _trigger in TRIGGERS:
    event.listen(audit_stumps, "after_create", DDL(_trigger))  # type: ignore[no-untyped-call]
