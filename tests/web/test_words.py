# SPDX-License-Identifier: MIT
"""The pages speak five languages: nothing that people read is left in one of them alone."""

from __future__ import annotations

import re

import pytest

from labvirt.web.ui import language

from .conftest import Site
from .words import LANGUAGES, TEMPLATES, catalogue, extracted, plain_words


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_sentence_is_translated(name: str) -> None:
    told = catalogue(name)
    left = []
    for message in extracted():
        if not message.id:
            continue
        found = told.get(message.id if isinstance(message.id, str) else message.id[0])
        strings = () if found is None else found.string if isinstance(found.string, tuple | list) else (found.string,)
        if not strings or not all(strings) or (found is not None and found.fuzzy):
            left.append(message.id)
    assert left == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_translation_fills_the_same_places(name: str) -> None:
    """A %(lab)s that is misspelt would break the page of one language only."""
    places = re.compile(r"%(?:\(\w+\))?[0-9]*[a-z]|%%")
    for message in catalogue(name):
        if not message.id:
            continue
        wanted = {tuple(sorted(places.findall(text))) for text in ((message.id,) if isinstance(message.id, str) else message.id)}
        for string in (message.string,) if isinstance(message.string, str) else message.string:
            assert tuple(sorted(places.findall(string))) in wanted, (name, message.id, string)


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_says_words_of_its_own(template: object) -> None:
    assert plain_words(template.read_text()) == []  # type: ignore[attr-defined]


def test_a_plain_word_is_noticed() -> None:
    assert plain_words('<p>Hello {{ name }}</p><a title="See">{{ _("x") }}</a>') == ["See", "Hello"]
    assert plain_words('<p>{{ _("Hello") }}</p>') == []
    assert plain_words("<p>{% trans %}Hello{% endtrans %} you</p>") == ["you"]


def test_the_browsers_language_then_the_persons(site: Site) -> None:
    browser = site.browser()
    said = {}
    for name in language.LANGUAGES:
        page = browser.get("/jobs", headers={"Accept-Language": f"{name};q=0.9, en;q=0.2"}).text
        said[name] = re.search(r"<h1>(.*?)</h1>", page)[1]  # type: ignore[index]
        assert f'<html lang="{name}"' in page
    assert len(set(said.values())) >= 4
    assert browser.post("/language", data={"language": "ru", "back": "/jobs"}).headers["location"] == "/jobs"
    assert said["ru"] in browser.get("/jobs", headers={"Accept-Language": "es"}).text
    assert browser.post("/language", data={"language": "../../etc"}).status_code == 400
    assert browser.post("/language", data={"language": "en", "back": "//evil.example/"}).headers["location"] == "/"
