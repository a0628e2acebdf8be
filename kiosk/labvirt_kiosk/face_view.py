# SPDX-License-Identifier: MIT
"""What the face says about a status, in the person's language. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from labvirt_kiosk.catalogue import Catalogue
from labvirt_kiosk.sentence import clean

_RETRY = re.compile(r"(.*), trying again in (\d+) s", re.DOTALL)
_PLACE = re.compile(r"(place \d+( or before)?), .*about \d+ (s|min)")
_CODE = re.compile(r" \[LV-[^\]]*\]$")
_OWN_NOTICE_ENDS = "Please save your work."
_OWN_CODES = {"away": "LV-AWAY", "refused": "LV-REFUSED", "retrying": "LV-VIEWER"}
"""The help codes of what the kiosk finds out itself; the seat's number follows, as in those of the controller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Everything on the face that changes. `""`: not shown."""

    headline: str
    detail: str = ""
    countdown: str = ""
    busy: bool = True
    trouble: bool = False
    lab: str = ""
    seat: str = ""
    help_code: str = ""
    enrolment_code: str = ""
    notice: str = ""
    notice_seconds: int = 20
    viewing: bool = False
    corner: str = ""


def view_of(status: Mapping[str, Any], words: Catalogue, now: datetime, address: str = "") -> View:
    """The view of `status` (the status file's fields); of an empty one, too."""
    state, message = _text(status, "state") or "asking", _text(status, "message", 400)
    told, left = _without_retry(_CODE.sub("", message))
    enrolment = _text(status, "enrolment_code", 16) if state == "unknown" else ""
    told = told.removesuffix(f" Enrolment code: {enrolment}") if enrolment else told
    said = words.translate(told)
    headline, detail = _headline(state, said, words)
    seconds = None if left is not None else _seconds_left(status, state, now)
    if left is not None:
        countdown = words.count("Trying again in {n} second", "Trying again in {n} seconds", left)
    elif seconds is None:
        countdown = ""
    elif seconds > 0:
        countdown = words.count("Ready in about {n} second", "Ready in about {n} seconds", seconds)
    else:
        countdown = words.say("Ready in a moment")
    waits_for = _text(status, "waits_for")
    if waits_for and state == "waiting" and not detail:
        if countdown and (found := _PLACE.fullmatch(waits_for)):
            waits_for = found[1]  # the time counts down beside it
        detail = words.say("Waiting for: {what}", what=words.translate(waits_for))
    seat = status.get("seat")
    code = _help_code(status, state, seat)
    return View(
        headline=headline,
        detail=detail,
        countdown=countdown,
        busy=state in ("asking", "connecting", "viewing", "unknown") or (state == "waiting" and bool(waits_for or seconds is not None)),
        trouble=state in _OWN_CODES or _failed(status, state),
        lab=_text(status, "lab", 64),
        seat=words.say("Seat {seat}", seat=seat) if isinstance(seat, int) else "",
        help_code=words.say("Help code: {code}", code=code) if code else "",
        enrolment_code=enrolment,
        notice=_notice(_text(status, "notice"), words),
        notice_seconds=shown if isinstance(shown := status.get("notice_seconds"), int) else 20,
        viewing=state == "viewing",
        corner=" · ".join(
            filter(None, (_text(status, "controller"), address, _text(status, "id", 64), f"LabVirt {_text(status, 'kiosk', 20)}"))
        ),
    )


def _headline(state: str, said: str, words: Catalogue) -> tuple[str, str]:
    """The large sentence and the small one. What the controller says is large; a long reason of our own is small."""
    match state:
        case "asking":
            return words.say("One moment: asking which computer belongs to this seat"), ""
        case "away":
            return words.say("The controller cannot be reached. Your seat comes by itself as soon as it answers."), said
        case "refused":
            return words.say("This terminal cannot show your computer."), said
        case "retrying":
            return words.say("The connection ended. It is made again by itself."), said
    return said, ""


def _notice(text: str, words: Catalogue) -> str:
    """The controller's own sentences in the person's language; what the teacher adds stays as it was written."""
    own, end, message = text.rpartition(_OWN_NOTICE_ENDS)
    return words.translate(own + end) + message if end else text


def _without_retry(message: str) -> tuple[str, int | None]:
    found = _RETRY.fullmatch(message)
    return (found[1], int(found[2][:6])) if found else (message, None)


def _failed(status: Mapping[str, Any], state: str) -> bool:
    """Whether a waiting seat waits for nothing that comes by itself."""
    code = _text(status, "help_code", 32)
    return state == "waiting" and any(code.startswith(f"LV-{kind}-") for kind in ("FAILED", "PROFILE", "CLASS", "SILENT"))


def _help_code(status: Mapping[str, Any], state: str, seat: object) -> str:
    if state in _OWN_CODES:
        return f"{_OWN_CODES[state]}-{seat:02d}" if isinstance(seat, int) else _OWN_CODES[state]
    return _text(status, "help_code", 32) if state == "waiting" else ""


def _seconds_left(status: Mapping[str, Any], state: str, now: datetime) -> int | None:
    try:
        at = datetime.fromisoformat(status.get("expect_at") or "")
        return max(0, round((at - now).total_seconds())) if state == "waiting" else None
    except (ValueError, TypeError):
        return None


def _text(status: Mapping[str, Any], key: str, limit: int = 200) -> str:
    value = status.get(key)
    return clean(value, limit) if isinstance(value, str) else ""
