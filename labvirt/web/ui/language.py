# SPDX-License-Identifier: MIT
"""The language of the pages: the person's choice (a cookie), else the browser's first that we speak. Catalogues are .po files, read once.

Outside of a request, and for what no catalogue has, words stay English.
"""

from __future__ import annotations

import functools
import gettext as std
import io
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, g, has_request_context, request

COOKIE = "labvirt_language"
COOKIE_SECONDS = 365 * 24 * 3600
LANGUAGES = {"en": "English", "es": "Español", "fr": "Français", "cs": "Čeština", "ru": "Русский"}
"""Each by its own name: whoever looks for it reads that one."""
LOCALES = Path(__file__).with_name("locales")


@functools.cache
def catalogue(language: str) -> std.NullTranslations:
    """English is its own catalogue."""
    if language == "en":
        return std.NullTranslations()
    with (LOCALES / f"{language}.po").open("rb") as text:
        written = io.BytesIO()
        write_mo(written, read_po(text, locale=language))
    written.seek(0)
    return std.GNUTranslations(written)


def current() -> str:
    """The language of this request."""
    if not has_request_context():
        return "en"
    chosen: str | None = g.get("language")
    if chosen is None:
        chosen = request.cookies.get(COOKIE, "")
        if chosen not in LANGUAGES:
            chosen = request.accept_languages.best_match(list(LANGUAGES), "en") or "en"
        g.language = chosen
    return chosen


def gettext(text: str) -> str:
    """These words in the language of this request."""
    return catalogue(current()).gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """The same where a number decides."""
    return catalogue(current()).ngettext(one, many, number)


def marked(text: str) -> str:
    """Marks words of a table for the catalogue; they are translated where they are shown."""
    return text


def install(app: Flask) -> None:
    """Templates say _('words'), ngettext, and {% trans %}."""
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
