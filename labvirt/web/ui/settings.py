# SPDX-License-Identifier: MIT
"""The page of the terminals' settings: what counts at a level, where it comes from, and a form for each."""

from __future__ import annotations

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from labvirt.domain.setting import Scope
from labvirt.errors import InvalidInput
from labvirt.usecases import settings
from labvirt.usecases.settings import Level, SettingsView

LONGEST = 200


def blueprint() -> Blueprint:
    """Look, and change one setting at one level. Behind the guard like all pages."""
    pages = Blueprint("settings", __name__, url_prefix="/settings")

    @pages.get("")
    def page() -> str:
        return _page(settings.show(g.ports, _level(request.args.get("level", "site"))))

    @pages.post("")
    def change() -> AnyResponse:
        told = request.form
        level = _level(told.get("level", "")[:LONGEST])
        key, value = told.get("key", "")[:LONGEST], told.get("value", "")[:LONGEST]
        try:
            if told.get("do") == "unset":
                settings.unset(g.ports, level, key)
            else:
                settings.change(g.ports, level, key, value)
        except InvalidInput as error:
            view = settings.show(g.ports, level)
            return Response(_page(view, wrong=error, key=key, tried=value), 400, mimetype="text/html")
        return redirect(url_for("settings.page", level=_word(level), changed=key, _anchor=key), 303)

    def _page(view: SettingsView, *, wrong: InvalidInput | None = None, key: str = "", tried: str = "") -> str:
        return render_template(
            "settings.html",
            view=view,
            level=_word(view.level),
            levels=[(_word(each), str(each)) for each in settings.levels(g.ports)],
            changed=request.args.get("changed", "") if wrong is None else "",
            wrong=wrong,
            wrong_key=key,
            tried=tried,
        )

    return pages


def _word(level: Level) -> str:
    """'site', 'lab:lab-a': as a form and an address carry it."""
    return f"{level.scope}:{level.subject}" if level.subject else str(level.scope)


def _level(word: str) -> Level:
    """Raises InvalidInput for what is no level at all."""
    scope, _, subject = word.partition(":")
    if scope not in tuple(Scope) or (scope == Scope.SITE) != (subject == ""):
        raise InvalidInput("level", "must be site, lab:NAME, class:NAME or terminal:NAME")
    return Level(scope=Scope(scope), subject=subject[:64])
