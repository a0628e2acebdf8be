# SPDX-License-Identifier: MIT
"""The page of the audit: what is shown, filters in the address, pages by cursor, files; and texts that somebody hostile has sent."""

from __future__ import annotations

import csv
import io
import json

from labvirt.domain.audit import Outcome
from labvirt.domain.caller import Caller, CallerKind
from labvirt.usecases import labs

from .conftest import Site

EVE = Caller(kind=CallerKind.TERMINAL, name='=HYPERLINK("x")\n<script>', address="10.77.0.9")


def note(site: Site, *subjects: str, by: Caller = EVE, outcome: Outcome = Outcome.DONE) -> None:
    with site.ports.database.write() as work:
        for each in subjects:
            site.ports.note(work, each, "was <b>seen</b>\r\nX: 1", verb="look", noun="lab", lab="lab-a", by=by, outcome=outcome)
        work.commit()


def test_what_is_done_is_shown_with_what_changed(site: Site) -> None:
    labs.change(site.ports, "lab-a", note="new words", max_instances=50)
    page = site.browser().get("/audit").text
    assert "<ins>new words</ins>" in page
    assert "<del>60</del>" in page
    assert ">change</span> <strong>lab lab-a</strong>" in page
    assert site.client().get("/audit").status_code == 401


def test_hostile_texts_stay_texts(site: Site) -> None:
    note(site, "<img src=x>", outcome=Outcome.REFUSED)
    page = site.browser().get("/audit").text
    assert "<script>" not in page.split("<main")[1]
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page
    assert 'class="refused"' in page


def test_filters_and_pages_are_in_the_address(site: Site) -> None:
    note(site, *(f"s{number:03d}" for number in range(120)))
    browser = site.browser()
    first = browser.get("/audit", params={"verb": "look", "lab": "lab-a"}).text
    assert "s119" in first
    assert "s069" not in first
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert "verb=look" in older
    second = browser.get(older).text
    assert "s069" in second
    assert "s119" not in second
    assert "Newest" in second
    assert "s005" in browser.get("/audit", params={"subject": "s005"}).text
    assert "Nothing meets these filters." in browser.get("/audit", params={"who": "nobody at all"}).text
    assert "Nothing meets" in browser.get("/audit", params={"until": "2001-01-01"}).text
    assert "s119" in browser.get("/audit", params={"since": "2001-01-01"}).text
    for wrong in ({"since": "yesterday"}, {"outcome": "x"}, {"before": "-1"}, {"before": "1e9"}):
        answer = browser.get("/audit", params=wrong)
        assert answer.status_code == 400
        assert "Something went wrong" not in answer.text


def test_the_same_entries_as_a_file(site: Site) -> None:
    note(site, "one", "two")
    note(site, "three", by=site.ports.caller)
    browser = site.browser()
    answer = browser.get("/audit/export.csv", params={"verb": "look"})
    assert answer.headers["content-disposition"].startswith('attachment; filename="labvirt-audit-')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["subject"] for row in rows] == ["three", "two", "one"]
    assert rows[1]["who"] == '\'=HYPERLINK("x") <script>'
    assert answer.text.count("\r\n") == 4
    told = [json.loads(line) for line in browser.get("/audit/export.jsonl", params={"verb": "look"}).text.splitlines()]
    assert [each["subject"] for each in told] == ["three", "two", "one"]
    assert told[1]["who"].startswith("=HYPERLINK"), "only spreadsheets need the apostrophe"
    assert browser.get("/audit/export.xls").status_code == 400
    assert site.client().get("/audit/export.csv").status_code == 401
