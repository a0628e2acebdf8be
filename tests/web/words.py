# SPDX-License-Identifier: MIT
"""Every sentence of the pages that people read, as the sources have it; those that other rooms say are in sentences.py beside it.

Run as a program it brings the catalogues of both up to date (new sentences are empty, those that nobody says any more are gone):
    python -m tests.web.words
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from .sentences import said

UI = Path(__file__).parents[2] / "labvirt" / "web" / "ui"
LOCALES = UI / "locales"
TOLD = LOCALES / "told"
TEMPLATES = UI / "templates"
LANGUAGES = ("es", "fr", "cs", "ru")
KEYWORDS = {"_": None, "gettext": None, "marked": None, "ngettext": (1, 2)}


def extracted() -> Catalog:
    """What templates and modules hand to gettext."""
    catalog = Catalog()
    for method, paths in (("python", UI.glob("*.py")), ("jinja2.ext:babel_extract", TEMPLATES.glob("*.html"))):
        for path in sorted(paths):
            options = {"trimmed": "true", "newstyle_gettext": "true", "encoding": "utf-8"}
            for _line, message, _comments, _context in extract_from_file(method, path, keywords=KEYWORDS, options=options):
                if message and message != ("",):
                    catalog.add(message)
    return catalog


def plain_words(template: str) -> list[str]:
    """Words that stand in a template for people to read and are handed to nobody: text between tags, and what is read out or shown of
    attributes."""
    text = re.sub(r"\{#.*?#\}", "", template, flags=re.S)
    text = re.sub(r"<(code|pre|script|style|kbd)\b[^>]*>.*?</\1>", "", text, flags=re.S)
    text = re.sub(r"\{% trans\b.*?\{% endtrans %\}", "\x00", text, flags=re.S)
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "\x00", text, flags=re.S)
    told = re.findall(r"(?:aria-label|title|placeholder|alt)=\"([^\"]*)\"", text)
    told += re.split(r"<[^>]*>", text)
    parts = [re.sub(r"&\w+;", " ", part).replace("\x00", " ") for part in told]
    return [word for part in parts for word in re.findall(r"[A-Za-zÀ-ž]{2,}", part) if word not in NAMES]


NAMES = {"LabVirt", "MAC", "sha", "ABCDE", "FGHJK", "LMNPQ", "MiB", "qcow", "raw", "Ctrl", "API", "DHCP"}
"""The same in every language."""


def told() -> Catalog:
    """What other rooms say: its places are {names}; a word that is told in one place only has that place as its context."""
    catalog = Catalog()
    for each in said():
        catalog.add(each.text, context=each.place or None)
    return catalog


def catalogue(language: str, folder: Path = LOCALES) -> Catalog:
    with (folder / f"{language}.po").open("rb") as text:
        return read_po(text, locale=language)


def renew(language: str, folder: Path, messages: Catalog) -> None:
    """The catalogue of this folder has exactly these messages, each with the translation that it had."""
    old, new = catalogue(language, folder), Catalog(locale=language)
    for message in messages:
        if message.id:
            known = old.get(message.id if isinstance(message.id, str) else message.id[0], message.context)
            new.add(message.id, known.string if known else None, context=message.context)
    out = io.BytesIO()
    write_po(out, new, omit_header=True, sort_output=True, width=140)
    head = '# SPDX-License-Identifier: MIT\nmsgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    head += f'"Content-Transfer-Encoding: 8bit\\n"\n"Language: {language}\\n"\n"Plural-Forms: {new.plural_forms}\\n"\n\n'
    (folder / f"{language}.po").write_text(head + out.getvalue().decode())


def main() -> None:
    for folder, messages in ((LOCALES, extracted()), (TOLD, told())):
        for language in LANGUAGES:
            renew(language, folder, messages)


if __name__ == "__main__":
    main()
