# SPDX-License-Identifier: MIT
"""Entries of the audit and their stumps."""

from __future__ import annotations

import json

from labvirt.database.mapping.row import Row, time_of, time_text
from labvirt.domain.audit import Entry, Outcome, Stump, fields_text
from labvirt.domain.caller import CallerKind


def entry_row(entry: Entry) -> Row:
    return {
        "number": entry.number,
        "at": time_text(entry.at),
        "who": entry.who,
        "kind": str(entry.kind),
        "address": entry.address,
        "verb": entry.verb,
        "noun": entry.noun,
        "subject": entry.subject,
        "lab": entry.lab,
        "what": entry.what,
        "before": fields_text(entry.before),
        "after": fields_text(entry.after),
        "outcome": str(entry.outcome),
        "times": entry.times,
        "seal": entry.seal,
    }


def entry_of(row: Row) -> Entry:
    return Entry(
        number=row["number"],
        at=time_of(row["at"]),
        who=row["who"],
        kind=CallerKind(row["kind"]),
        address=row["address"],
        verb=row["verb"],
        noun=row["noun"],
        subject=row["subject"],
        lab=row["lab"],
        what=row["what"],
        before=json.loads(row["before"]),
        after=json.loads(row["after"]),
        outcome=Outcome(row["outcome"]),
        times=row["times"],
        seal=row["seal"],
    )


def stump_of(row: Row) -> Stump:
    return Stump(up_to=row["up_to"], seal=row["seal"], at=time_of(row["at"]))
