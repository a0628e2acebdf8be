# SPDX-License-Identifier: MIT
"""One line of the audit, and the chain that ties each line to all before it.

The canonical form is kept for ever: a change of it would break every chain there is. What is written in an entry is one clean line
each, and small; what looks like a secret is never in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any

from labvirt.domain.caller import MACHINE, CallerKind
from labvirt.domain.names import one_line
from labvirt.errors import InvalidInput

GENESIS = "0" * 64
"""What the first entry of all follows."""

WHO, ADDRESS, NOUN, SUBJECT, WHAT = 80, 64, 24, 120, 400
"""Longest texts."""
VALUE, VALUES = 200, 24
"""Longest value of a field, and most fields, in `before` and `after`."""

_SECRET = ("secret", "password", "passwd", "token", "hash", "private", "credential", "login", "cookie", "code")
_NOT_SHOWN = "(not shown)"

Fields = Mapping[str, Any]
"""Name of a field -> what JSON takes: text, number, truth, None, or a list of texts."""


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    """Somebody was not allowed to, or his proof was wrong."""
    FAILED = "failed"
    """It was begun, and did not come to a good end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to what, when, from where, and how it ended. `number` and `seal` are the database's to give."""

    at: datetime
    who: str
    kind: CallerKind
    verb: str
    """One word: add, change, remove, publish, start ... ('note': something was seen)."""
    noun: str
    """What kind of thing the subject is."""
    subject: str
    what: str
    """The sentence for people, after the subject's name."""
    address: str = ""
    lab: str | None = None
    before: Fields = field(default_factory=dict)
    after: Fields = field(default_factory=dict)
    outcome: Outcome = Outcome.DONE
    times: int = 1
    """So many of the same are told by this one entry (refusals that came in a flood)."""
    number: int = 0
    seal: str = ""
    """sha256 over the seal of the entry before and this one's canonical form, in hexadecimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stump:
    """What is left of entries that were cut off for their age: the last one's number and seal, which the chain goes on from."""

    up_to: int
    seal: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries somebody asks for: those that meet every condition that is given. `since` is included, `until` is not."""

    who: str | None = None
    subject: str | None = None
    noun: str | None = None
    lab: str | None = None
    verb: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None
    labs: frozenset[str] | None = None
    """Only entries of these labs; None: also those of no lab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The first entry that is not as it was written, or does not follow the one before."""

    number: int
    why: str


def of_guest(at: datetime, guest: str, lab: str, what: str, *, verb: str = "note", outcome: Outcome = Outcome.DONE) -> Entry:
    """What the engine did with a guest, or saw of it, by itself."""
    who, kind = MACHINE.name, MACHINE.kind
    return Entry(at=at, who=who, kind=kind, verb=verb, noun="guest", subject=guest, lab=lab, what=what, outcome=outcome)


def cleaned(entry: Entry) -> Entry:
    """The entry as it may be written: every text one short line, the fields small and without secrets."""
    return Entry(
        at=entry.at,
        who=one_line(entry.who, WHO) or "nobody",
        kind=entry.kind,
        verb=one_line(entry.verb, NOUN) or "note",
        noun=one_line(entry.noun, NOUN),
        subject=one_line(entry.subject, SUBJECT),
        what=one_line(entry.what, WHAT),
        address=one_line(entry.address, ADDRESS),
        lab=None if entry.lab is None else one_line(entry.lab, SUBJECT),
        before=_small(entry.before),
        after=_small(entry.after),
        outcome=entry.outcome,
        times=entry.times,
        number=entry.number,
        seal=entry.seal,
    )


def changed(old: object, new: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of two frozen values of one kind that differ, as `before` and `after`."""
    names = [each.name for each in fields(old) if getattr(old, each.name) != getattr(new, each.name)]  # type: ignore[arg-type]
    return {name: _plain(getattr(old, name)) for name in names}, {name: _plain(getattr(new, name)) for name in names}


def told(value: object, names: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a frozen value (only `names`, if any are given): the `after` of what was added, the `before` of what is gone.
    Fields that are empty are left out."""
    shown = [each.name for each in fields(value) if not names or each.name in names]  # type: ignore[arg-type]
    return {name: _plain(getattr(value, name)) for name in shown if getattr(value, name) not in (None, "", (), frozenset())}


def fields_text(told: Fields) -> str:
    """As it is kept: sorted, in ASCII, so that no character of it can be anything but itself."""
    return json.dumps(told, ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def canonical(entry: Entry) -> bytes:
    """The bytes that are sealed: a JSON list in a fixed order. Never change it."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = [entry.number, at, entry.who, str(entry.kind), entry.address, entry.verb, entry.noun, entry.subject, entry.lab, entry.what]
    parts += [fields_text(entry.before), fields_text(entry.after), str(entry.outcome), entry.times]
    return json.dumps(parts, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def sealed(former: str, entry: Entry) -> str:
    """The seal of an entry that follows the one with the seal `former`."""
    return hashlib.sha256(former.encode("ascii") + b"\n" + canonical(entry)).hexdigest()


class Chain:
    """Walks along entries in their order and finds the first that is broken."""

    def __init__(self, stump: Stump | None) -> None:
        self.number = stump.up_to if stump else 0
        self.seal = stump.seal if stump else GENESIS

    def step(self, entry: Entry) -> Broken | None:
        """None when this entry follows and is what was sealed."""
        if entry.number != self.number + 1:
            return Broken(number=self.number + 1, why=f"it is missing: the next one there is has the number {entry.number}")
        if sealed(self.seal, entry) != entry.seal:
            return Broken(number=entry.number, why="it is not what was written, or the one before it is not")
        self.number, self.seal = entry.number, entry.seal
        return None


def parse_anchor(text: str, field: str = "anchor") -> tuple[int, str]:
    """'N:SEAL', as somebody has noted it elsewhere. Raises InvalidInput."""
    number, colon, seal = text.partition(":")
    if (
        not colon
        or not number.isascii()
        or not number.isdigit()
        or len(number) > 15
        or len(seal) != 64
        or set(seal) - set("0123456789abcdef")
    ):
        raise InvalidInput(field, "must look like NUMBER:SEAL", hint="labvirt audit verify prints the newest one.")
    return int(number), seal


def parse_moment(text: str, field: str) -> datetime:
    """A day or a time (ISO 8601); without a zone it is UTC. Raises InvalidInput."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field, "is not a time", hint="Write it like 2026-03-02 or 2026-03-02T08:00.") from error


def _small(given: Fields) -> dict[str, Any]:
    kept = {
        one_line(str(name), 40): _NOT_SHOWN if _is_secret(str(name)) else _plain(value) for name, value in sorted(given.items())[:VALUES]
    }
    if len(given) > VALUES:
        kept["..."] = f"{len(given) - VALUES} more"
    return kept


def _is_secret(name: str) -> bool:
    return any(part in name.lower() for part in _SECRET)


def _plain(value: object) -> Any:
    """What JSON takes, cut at VALUE characters."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, frozenset | set):
        value = sorted(str(each) for each in value)
    if isinstance(value, tuple | list):
        return [one_line(_text(each), VALUE) for each in value[:VALUES]]
    return one_line(_text(value), VALUE)


def _text(value: object) -> str:
    if is_dataclass(value) and type(value).__str__ is object.__str__:
        told = ((each.name, getattr(value, each.name)) for each in fields(value))
        return " ".join(f"{name}={_NOT_SHOWN if _is_secret(name) else one}" for name, one in told if one not in (None, ""))
    if isinstance(value, tuple | list):
        if len(value) == 2 and isinstance(value[0], str) and _is_secret(value[0]):
            return f"{value[0]}={_NOT_SHOWN}"
        return "=".join(str(each) for each in value)
    return str(value)
