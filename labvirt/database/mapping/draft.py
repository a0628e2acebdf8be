# SPDX-License-Identifier: MIT
"""Drafts."""

from __future__ import annotations

from labvirt.database.mapping.row import Row, kept, maybe_text, maybe_time, time_of, time_text
from labvirt.domain.draft import Draft, DraftState


def draft_row(draft: Draft) -> Row:
    return {
        "name": draft.name,
        "image": draft.image,
        "parent": draft.parent,
        "pointer": draft.pointer,
        "profile": draft.profile,
        "lab": draft.lab,
        "place": draft.place,
        "state": str(draft.state),
        "since": time_text(draft.since),
        "made_at": time_text(draft.made_at),
        "touched_at": time_text(draft.touched_at),
        "owner": draft.owner,
        "note": draft.note,
        "guest": draft.guest,
        "candidate": draft.candidate,
        "reminded_at": maybe_text(draft.reminded_at),
    }


@kept
def draft_of(row: Row) -> Draft:
    return Draft(
        name=row["name"],
        image=row["image"],
        parent=row["parent"],
        pointer=row["pointer"],
        profile=row["profile"],
        lab=row["lab"],
        place=row["place"],
        state=DraftState(row["state"]),
        since=time_of(row["since"]),
        made_at=time_of(row["made_at"]),
        touched_at=time_of(row["touched_at"]),
        owner=row["owner"],
        note=row["note"],
        guest=row["guest"],
        candidate=row["candidate"],
        reminded_at=maybe_time(row["reminded_at"]),
    )
