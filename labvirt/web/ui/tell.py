# SPDX-License-Identifier: MIT
"""The page on which a teacher tells a lab or a seat something, and ends the lesson."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.guest import Purpose
from labvirt.domain.message import is_end_of_lesson
from labvirt.errors import Conflict, InvalidInput
from labvirt.usecases import labs, messages, power
from labvirt.web.ui.retold import retold

LONGEST = 400


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("tell", __name__, url_prefix="/labs/<lab>/tell")

    @pages.get("")
    def page(lab: str) -> str:
        return _page(lab)

    @pages.post("")
    def tell(lab: str) -> AnyResponse:
        told = request.form
        by = g.ports.caller.name
        labs.one(g.ports, lab)
        try:
            minutes = _whole(told.get("minutes", ""))
            if told.get("do") == "end":
                at = g.ports.clock.now() + timedelta(minutes=minutes)
                done = len(messages.end_lesson(g.ports, lab, at, fresh=told.get("then") != "stop", by=by))
            elif told.get("do") == "call-off":
                done = len(messages.call_off_end(g.ports, lab, by=by))
            elif guest := told.get("guest", "")[:64]:
                messages.tell_guest(g.ports, guest, told.get("sentence", "")[:LONGEST], minutes=minutes, by=by)
                done = 1
            else:
                done = len(messages.tell_lab(g.ports, lab, told.get("sentence", "")[:LONGEST], minutes=minutes, by=by))
        except (InvalidInput, Conflict) as error:
            page = _page(lab, wrong=f"{retold(error.sentence).rstrip('.')}.", sentence=told.get("sentence", "")[:LONGEST])
            return Response(page, 409 if isinstance(error, Conflict) else 400, mimetype="text/html")
        return redirect(url_for("tell.page", lab=lab, told=done), 303)

    def _page(lab: str, *, wrong: str = "", sentence: str = "") -> str:
        there = [each for each in power.guests(g.ports, lab) if each.alive and each.purpose is Purpose.SEAT]
        ends = next((each.due_at for each in there if is_end_of_lesson(each)), None)
        return render_template(
            "tell.html",
            lab=lab,
            guests=[each.name for each in there],
            wrong=wrong,
            sentence=sentence,
            told=request.args.get("told", type=int),
            ends="" if ends is None else f"{ends.astimezone():%H:%M}",
        )

    return pages


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        raise InvalidInput("minutes", "must be a whole number of minutes")
    return int(text)
