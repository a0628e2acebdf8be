# SPDX-License-Identifier: MIT
"""Lists in pages. A cursor says behind which thing the next page begins, not how many were told: what is added or removed meanwhile makes
nothing appear twice and nothing be missed that was there all the time."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from labvirt.errors import InvalidInput
from labvirt.web.api.model import Asked
from labvirt.web.api.operation import Many

USUAL, MOST = 100, 500


class Paged(Asked):
    """What every list takes."""

    limit: Annotated[int, Field(ge=1, le=MOST, description="At most so many things.")] = USUAL
    after: Annotated[str, Field(max_length=600, description="`next` of the page before.")] = ""
    sort: Annotated[str, Field(max_length=40, pattern=r"^(-?[a-z_]+)?$", description="By which field; with '-': the other way round.")] = ""


def page(many: Many, things: Iterable[Any], asked: Paged) -> tuple[list[Any], str | None]:
    """The things of this page, and the cursor of the next one (None: there is none). Raises InvalidInput for a cursor that is not ours
    or belongs to another order, and for an order that there is not."""
    by, turned = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    if by and by not in many.sorts:
        there_are = ", ".join(many.sorts) or "none"
        raise InvalidInput("sort", f"must be one of: {there_are}", hint="Leave it out for the usual order.")
    backwards = turned if by else many.newest_first

    def place(thing: Any) -> list[Any]:
        """Comparable, and of values that JSON gives back as they were."""
        value = many.sorts[by](thing) if by else ""
        return [value is not None, "" if value is None else value, _listed(many.key(thing))]

    keyed = sorted(((place(thing), thing) for thing in things), key=lambda each: each[0], reverse=backwards)
    if asked.after:
        last = _read(asked.after, asked.sort)
        try:
            keyed = [each for each in keyed if (each[0] < last if backwards else each[0] > last)]
        except TypeError as error:
            raise _foreign() from error
    shown, rest = keyed[: asked.limit], keyed[asked.limit :]
    return [thing for _, thing in shown], _write(asked.sort, shown[-1][0]) if rest else None


def _listed(key: Any) -> Any:
    """As JSON gives it back."""
    return list(key) if isinstance(key, tuple) else key


def _write(sort: str, place: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort, place], separators=(",", ":")).encode()).decode().rstrip("=")


def _read(cursor: str, sort: str) -> list[Any]:
    try:
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        of, place = told
    except (ValueError, TypeError, RecursionError) as error:
        raise _foreign() from error
    if of != sort or not isinstance(place, list) or len(place) != 3:
        raise _foreign()
    return place


def _foreign() -> InvalidInput:
    return InvalidInput("after", "is not the `next` of a page of this list", hint="Begin without it.")
