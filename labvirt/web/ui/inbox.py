# SPDX-License-Identifier: MIT
"""Terminals: who knocked and is to be adopted, put in the place of an old PC, or dismissed; all that are known; a list from a file."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases import classes, enrol, labs, profiles, terminal_list, terminals
from labvirt.web.ui import layout
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.language import ngettext
from labvirt.web.ui.looking import fragment
from labvirt.web.ui.retold import error_words
from labvirt.web.ui.seats import age

LONGEST = 64


def blueprint() -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("inbox", __name__, url_prefix="/inbox")

    @pages.get("")
    def page() -> str:
        wanted = {"lab": one_line(request.args.get("lab", ""), LONGEST), "q": one_line(request.args.get("q", ""), LONGEST)}
        known = [each for each in terminals.everything(g.ports) if layout.may(Right.LOOK, each.lab) and _fits(each, **wanted)]
        choices = {"classes": classes.everything(g.ports), "profiles": profiles.everything(g.ports)}
        return render_template("inbox.html", strangers=_strangers(), known=known, labs=_kept_labs(), wanted=wanted, **choices)

    @pages.get("/knocking")
    def knocking() -> Response:
        """How many wait, for a page that is open: it is not replaced under the hand of who fills in its form."""
        return fragment(render_template("inbox_count.html", count=len(_strangers())))

    @pages.post("/adopt")
    def adopt() -> AnyResponse:
        told = request.form
        if _text("lab"):
            labs.one(g.ports, _text("lab"))
        try:
            if told.get("do") == "dismiss":
                gone = enrol.dismiss(g.ports, _text("code"))
                layout.told(_("%s is dismissed. If it asks again, it gets a new code.") % gone.id)
            elif told.get("do") == "replace":
                new = enrol.take_over(g.ports, _text("code"), _text("terminal"))
                layout.told(_("%(name)s is the new PC now: it keeps its seat %(seat)d of %(lab)s.") % _of(new))
            else:
                new = enrol.adopt(
                    g.ports,
                    _text("code"),
                    lab=_text("lab"),
                    seat=_seat(),
                    name=_text("name") or None,
                    terminal_class=_text("class") or "spice",
                    profile=_text("profile") or None,
                )
                layout.told(_("%(name)s is adopted: seat %(seat)d of %(lab)s.") % _of(new))
        except LabVirtError as error:
            layout.refused(error)
        return redirect(url_for("inbox.page"), 303)

    @pages.post("/change")
    def change() -> AnyResponse:
        name = _text("name")
        terminals.one(g.ports, name)
        try:
            if request.form.get("do") == "remove":
                terminals.remove(g.ports, name)
                layout.told(_("%s is removed.") % name)
            else:
                active = request.form.get("do") == "activate"
                terminals.change(g.ports, name, active=active)
                layout.told((_("%s may start guests again.") if active else _("%s is switched off: it starts nothing.")) % name)
        except LabVirtError as error:
            layout.refused(error)
        return redirect(url_for("inbox.page"), 303)

    @pages.get("/list")
    def list_page() -> str:
        return render_template(
            "terminal_list.html", text="", lines=None, wrong="", lab="", labs=_kept_labs(), example=terminal_list.EXAMPLE
        )

    @pages.post("/list")
    def list_look() -> AnyResponse:
        text, lab = request.form.get("list", ""), _text("lab")
        lines, wrong = None, ""
        try:
            if request.form.get("do") == "take":
                added = terminal_list.take(g.ports, text, lab=lab)
                layout.told(ngettext("%d terminal was added.", "%d terminals were added.", len(added)) % len(added))
                return redirect(url_for("inbox.page"), 303)
            lines = terminal_list.look(g.ports, text, lab=lab)
        except LabVirtError as error:
            wrong = error_words(error)
        page = render_template(
            "terminal_list.html", text=text, lines=lines, wrong=wrong, lab=lab, labs=_kept_labs(), example=terminal_list.EXAMPLE
        )
        return Response(page, 400 if wrong else 200, mimetype="text/html")

    return pages


def _kept_labs() -> list[str]:
    """Where who looks may keep seats."""
    return [name for name in layout.lab_names() if layout.may(Right.SEATS, name)]


def _strangers() -> list[tuple[object, str]]:
    """Who waits, and how long ago each was heard."""
    if not layout.may(Right.SEATS):
        return []
    now = g.ports.clock.now()
    return [(each, age(max(0, int((now - each.last_seen).total_seconds())))) for each in enrol.strangers(g.ports)]


def _fits(terminal: Terminal, *, lab: str, q: str) -> bool:
    said = f"{terminal.name} {terminal.mac or ''} {terminal.inventory_id or ''} {terminal.note}".casefold()
    return (not lab or terminal.lab == lab) and q.casefold() in said


def _of(terminal: Terminal) -> dict[str, object]:
    return {"name": terminal.name, "seat": terminal.seat, "lab": terminal.lab}


def _text(field: str) -> str:
    return request.form.get(field, "").strip()[:LONGEST]


def _seat() -> int | None:
    text = _text("seat")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 5:
        raise InvalidInput("seat", "must be a whole number")
    return int(text)
