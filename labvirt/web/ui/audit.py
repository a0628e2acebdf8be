# SPDX-License-Identifier: MIT
"""The page of the audit: filters in the address, pages by cursor, the same entries as a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, g, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from labvirt.domain.audit import Entry, Fields, Outcome, Wanted, parse_moment
from labvirt.domain.names import one_line
from labvirt.errors import InvalidInput
from labvirt.usecases import audit, labs
from labvirt.web.errors import status_of

LONGEST = 120
_WORDS = ("who", "subject", "lab", "verb")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)

FORMS: dict[str, tuple[str, Callable[[Iterator[Entry]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", audit.as_csv),
    "jsonl": ("application/x-ndjson", audit.as_json_lines),
}


def blueprint() -> Blueprint:
    """Behind the guard like all pages; what may be read is the use case's to say."""
    pages = Blueprint("audit", __name__, url_prefix="/audit")

    @pages.get("")
    def page() -> str | Response:
        given = _given(request.args)
        try:
            wanted, before = _wanted(given), _cursor(request.args.get("before", ""))
        except InvalidInput as error:
            return Response(_page(given, audit.Page(entries=(), older=None), wrong=error), status_of(error), mimetype="text/html")
        return _page(given, audit.page(g.ports, wanted, before=before), later=before is not None)

    @pages.get("/export.<form>")
    def export(form: str) -> Response:
        if form not in FORMS:
            raise InvalidInput("form", "must be csv or jsonl")
        media, write = FORMS[form]
        entries = audit.everything(g.ports, _wanted(_given(request.args)))
        name = f"labvirt-audit-{g.ports.clock.now():%Y-%m-%d}.{form}"
        return Response(write(entries), mimetype=media, headers={"Content-Disposition": f'attachment; filename="{name}"'})

    def _page(given: dict[str, Any], found: audit.Page, *, later: bool = False, wrong: InvalidInput | None = None) -> str:
        return render_template(
            "audit.html",
            given=given,
            page=found,
            wrong=wrong,
            newest=url_for("audit.page", **given) if later else "",
            older=url_for("audit.page", **given, before=found.older) if found.older is not None else "",
            exports=[(form, url_for("audit.export", form=form, **given)) for form in FORMS],
            verbs=audit.verbs(g.ports),
            labs=[each.name for each in labs.everything(g.ports)],
            outcomes=tuple(Outcome),
            told=_told,
        )

    return pages


def _given(args: MultiDict[str, str]) -> dict[str, str]:
    """The filters of an address, those that are not empty."""
    names = (*_WORDS, "outcome", "since", "until")
    return {name: value for name in names if (value := one_line(args.get(name, "")[:LONGEST]))}


def _wanted(given: dict[str, str]) -> Wanted:
    """Raises InvalidInput. A day as `until` is included."""
    outcome = given.get("outcome")
    if outcome is not None and outcome not in tuple(Outcome):
        raise InvalidInput("outcome", f"must be one of {', '.join(Outcome)}")
    since, until = given.get("since"), given.get("until")
    ends = parse_moment(until, "until") if until else None
    return Wanted(
        who=given.get("who"),
        subject=given.get("subject"),
        lab=given.get("lab"),
        verb=given.get("verb"),
        outcome=Outcome(outcome) if outcome else None,
        since=parse_moment(since, "since") if since else None,
        until=ends + timedelta(days=1) if ends and until and _DAY.match(until) and ends.year < 9999 else ends,
    )


def _cursor(text: str) -> int | None:
    if text and not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidInput("before", "must be the number of an entry")
    return int(text) if text else None


def _told(entry: Entry) -> list[tuple[str, str, str]]:
    """Field, before, after: as a person reads them."""
    names = sorted({*entry.before, *entry.after})
    return [(name, _value(entry.before, name), _value(entry.after, name)) for name in names]


def _value(told: Fields, name: str) -> str:
    if name not in told:
        return ""
    value = told[name]
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "nothing"
    return "nothing" if value in (None, "") else str(value)
