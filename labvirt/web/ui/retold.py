# SPDX-License-Identifier: MIT
"""What other rooms said in English (errors, reasons, findings, steps, history), told again in the language of who reads.

Rows, audit, API and command line keep their English text; only a page, at its edge, finds the sentences it was made from (sentences.py) in
the catalogue (locales/told, which tests/web/sentences.py fills from the sources). Whatever nobody knows stays as it is, and the answer is
plain text, never markup: a page escapes it as it escapes every name.
"""

from __future__ import annotations

import functools

from babel.messages.pofile import read_po
from flask import Flask

from labvirt.domain.caller import Grant
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.web.ui import language
from labvirt.web.ui.sentences import Sentences

TOLD = language.LOCALES / "told"
KEPT = 8192
"""So many texts are kept with their translations: a page of 300 seats says the same few things again and again."""


def retold(text: object, place: str = "") -> str:
    """These words in the language of the request; `place`: they are a value of it (a state, a role, a right, the field of a form)."""
    said, spoken = str(text), language.current()
    return said if spoken == "en" or not said else _told(spoken, said, place)


@functools.lru_cache(maxsize=KEPT)
def _told(spoken: str, text: str, place: str) -> str:
    return sentences(spoken).told(text, place)


@functools.cache
def sentences(spoken: str) -> Sentences:
    """The catalogue of one language, read once."""
    known = Sentences()
    with (TOLD / f"{spoken}.po").open("rb") as text:
        for message in read_po(text, locale=spoken):
            if message.id and message.string:
                known.add(str(message.id), str(message.string), message.context or "")
    known.sort()
    return known


def error_words(error: LabVirtError) -> str:
    """The sentence of an error and what to do, as a banner has them."""
    return f"{retold(error.sentence)} {retold(error.hint)}".strip()


def field_words(name: str) -> str:
    """A field of a form as one calls it: memory_mib, and where it has no word of its own, its name without the strokes."""
    told = retold(name, "field")
    return told if told != name else name.replace("_", " ")


def grant_words(grant: Grant) -> str:
    """A role, and where."""
    role = retold(grant.role, "role")
    return role if grant.lab is None else language.gettext("%(role)s in %(lab)s") % {"role": role, "lab": grant.lab}


def reason_words(error: InvalidInput) -> str:
    """Why a field is refused, as a sentence that begins with a capital."""
    told = retold(error.reason)
    return f"{told[:1].upper()}{told[1:]}."


def install(app: Flask) -> None:
    """Templates say {{ words|retold }}, {{ state|retold("state") }} and {{ field|field_words }}."""
    app.jinja_env.filters["retold"] = retold
    app.jinja_env.filters["field_words"] = field_words
