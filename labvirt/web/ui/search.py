# SPDX-License-Identifier: MIT
"""Search over everything with a name, and over the pages themselves: for the palette (Ctrl K), and as a page of its own."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, current_app, g, render_template, request, url_for

from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.usecases import catalogue, profiles, terminals
from labvirt.web.ui import layout
from labvirt.web.ui.language import gettext as _
from labvirt.web.ui.looking import Looking

MOST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One hit; `rank` is lower the better it fits."""

    words: str
    kind: str
    icon: str
    url: str
    rank: int


def blueprint(looking: Looking) -> Blueprint:
    """Behind the guard like all pages."""
    pages = Blueprint("search", __name__, url_prefix="/search")

    @pages.get("")
    def page() -> str:
        words = one_line(request.args.get("q", ""), 64)
        return render_template("search.html", words=words, found=_find(words, 100))

    @pages.get("/found")
    def found() -> str:
        return render_template("search_found.html", found=_find(one_line(request.args.get("q", ""), 64), MOST))

    def _find(words: str, most: int) -> list[Found]:
        wanted = words.casefold().split()
        hits = []
        for text, more, kind, icon, url in _everything():
            said = f"{text} {more}".casefold()
            if all(each in said for each in wanted):
                name = text.casefold()
                rank = 0 if name == words.casefold() else 1 if wanted and name.startswith(wanted[0]) else 2
                hits.append(Found(words=text, kind=kind, icon=icon, url=url, rank=rank))
        return sorted(hits, key=lambda each: each.rank)[:most]

    def _everything() -> list[tuple[str, str, str, str, str]]:
        overview = looking.overview()
        told = [
            (_(way.words), "", _("page"), way.icon, url_for(way.endpoint))
            for way in layout.WAYS
            if way.endpoint in current_app.view_functions and (way.right is None or layout.may(way.right))
        ]
        for lab in overview.labs:
            told.append((lab.lab.name, str(lab.lab.network.network), _("lab"), "map-2", url_for("labmap.page", lab=lab.lab.name)))
        for lab in overview.labs:
            for seat in lab.seats:
                guest = lab.lab.guest_name(seat.seat)
                more = f"{seat.terminal.name if seat.terminal else ''} {seat.identity.address if seat.identity else ''}"
                told.append((guest, more, _("seat"), "device-desktop", url_for("seat.page", name=guest)))
        for terminal in terminals.everything(g.ports):
            if layout.may(Right.LOOK, terminal.lab):
                more = f"{terminal.mac or ''} {terminal.inventory_id or ''} {terminal.note}"
                told.append((terminal.name, more, _("terminal"), "device-desktop", url_for("pages.terminal", name=terminal.name)))
        for profile in profiles.everything(g.ports):
            told.append((profile.name, profile.note, _("profile"), "template", url_for("profiles.one", name=profile.name)))
        for view in catalogue.everything(g.ports):
            told.append((view.image.name, view.image.note, _("image"), "disc", url_for("images.one", name=view.image.name)))
        return told

    return pages
