# SPDX-License-Identifier: MIT
"""The words in the person's language: gettext's catalogues, read from the `.po` files themselves.

Reading the source needs no build step and no binary in the repository; what is made of it is the same `.mo` that msgfmt
makes, in memory, handed to Python's gettext. A catalogue that is missing or broken speaks English.
"""

from __future__ import annotations

import ast
import gettext
import io
import re
import struct
from functools import lru_cache
from pathlib import Path

from labvirt_kiosk.known_sentences import KNOWN

LANGUAGES = {"en": "English", "es": "Español", "fr": "Français", "cs": "Čeština", "ru": "Русский"}
"""Each named in itself: who looks for it may read no other."""

DOMAIN = "labvirt-kiosk"
FOLDER = Path(__file__).resolve().parents[1] / "locale"

_LINE = re.compile(r'(msgid|msgid_plural|msgstr|msgstr\[\d+\])?\s*(".*")')


class Catalogue:
    """Speaks one language. Pure after it is made."""

    def __init__(self, language: str, folder: Path = FOLDER) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._words: gettext.NullTranslations = gettext.NullTranslations()
        if self.language != "en":
            try:
                text = (folder / self.language / "LC_MESSAGES" / f"{DOMAIN}.po").read_text(encoding="utf-8")
                self._words = gettext.GNUTranslations(io.BytesIO(compile_catalogue(read_entries(text))))
            except (OSError, ValueError, SyntaxError, struct.error, AttributeError):
                pass  # English is better than nothing

    def say(self, template: str, **values: object) -> str:
        """`template` in this language, with `values` in its places."""
        return self._words.gettext(template).format(**values)

    def count(self, one: str, many: str, n: int) -> str:
        """One of the two templates, in the form that this language has for `n`."""
        return self._words.ngettext(one, many, n).format(n=n)

    def translate(self, message: str) -> str:
        """An English sentence of the kiosk or the controller in this language; one that is not known stays as it is."""
        if self.language == "en":
            return message
        for template, pattern in _patterns():
            found = pattern.fullmatch(message)
            if found is not None:
                return self.say(template, **{name: self.translate(value) for name, value in found.groupdict().items()})
        return message


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The known sentences as patterns, those with the most words of their own first."""
    ordered = sorted(KNOWN, key=lambda template: -len(re.sub(r"\{\w+\}", "", template)))
    return tuple((template, _pattern(template)) for template in ordered)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{part}>.+?)" if n % 2 else re.escape(part) for n, part in enumerate(parts)))


def read_entries(text: str) -> dict[str, str]:
    """msgid to msgstr as a `.mo` has them (plural forms joined by NUL). Raises ValueError or SyntaxError if it is no `.po`."""
    entries: dict[str, str] = {}
    entry: dict[str, str] = {}
    field = ""
    for line in [*text.splitlines(), ""]:
        if not line.strip():
            _finish(entry, entries)
            entry, field = {}, ""
        elif not line.startswith("#"):
            found = _LINE.fullmatch(line.strip())
            if found is None:
                raise ValueError(f"not a line of a catalogue: {line[:80]}")
            field = found[1] or field
            entry[field] = entry.get(field, "") + ast.literal_eval(found[2])
    return entries


def _finish(entry: dict[str, str], entries: dict[str, str]) -> None:
    if "msgid" not in entry:
        return
    plural = entry.get("msgid_plural")
    key = entry["msgid"] if plural is None else f"{entry['msgid']}\0{plural}"
    forms = [entry[field] for field in sorted(entry) if field.startswith("msgstr")]
    if any(forms):
        entries[key] = "\0".join(forms)


def compile_catalogue(entries: dict[str, str]) -> bytes:
    """The `.mo` of the entries (GNU gettext manual, "The Format of GNU MO Files")."""
    pairs = sorted((key.encode(), value.encode()) for key, value in entries.items())
    start = 28 + 16 * len(pairs)
    table, block = [], b""
    for column in (0, 1):
        for pair in pairs:
            table += [len(pair[column]), start + len(block)]
            block += pair[column] + b"\0"
    head = (0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start + len(block))
    return struct.pack(f"<7I{len(table)}I", *head, *table) + block
