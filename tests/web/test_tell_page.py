# SPDX-License-Identifier: MIT
"""The page on which a teacher tells a lab something: who may, what it says, and the end of a lesson."""

from __future__ import annotations

from labvirt.domain.guest import Due, GuestState
from labvirt.usecases import power

from .conftest import Site, until
from .lab import guest, put, terminal_mac

PAGE = "/labs/lab-a/tell"


def heard(site: Site, seat: int) -> str:
    told = site.client().get("/terminals/config", params={"id": str(terminal_mac(seat)), "wait": "0", "format": "json"}).json()
    return str(told.get("notice", ""))


def test_a_sentence_reaches_everybody_or_one_seat(site: Site) -> None:
    put(site.ports, site.engine, *(guest(seat, GuestState.RUNNING, site.ports.clock.now()) for seat in (1, 2)))
    told = {"sentence": "Look <here>.", "minutes": "5", "guest": ""}
    assert site.client().post(PAGE, data=told).status_code == 401
    assert heard(site, 1) == ""
    browser = site.browser()
    assert "everybody (2 now)" in browser.get(PAGE).text
    assert f'href="{PAGE}"' in browser.get("/").text
    done = browser.post(PAGE, data=told, follow_redirects=True)
    assert "Done: 2 seats." in done.text
    browser.post(PAGE, data=told | {"guest": "lab-a-02", "sentence": "Only you."})
    until(lambda: heard(site, 2) == "Only you.", "the sentence at seat 2")  # an answer may be two seconds old
    until(lambda: heard(site, 1) == "Look <here>.", "the sentence at seat 1")


def test_what_cannot_be_said_is_refused_with_a_sentence_and_kept_in_the_form(site: Site) -> None:
    browser = site.browser()
    refused = browser.post(PAGE, data={"sentence": "Hello <b>.", "minutes": "5"})
    assert refused.status_code == 409
    assert "nobody to tell" in refused.text
    assert 'value="Hello &lt;b&gt;."' in refused.text
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, site.ports.clock.now()))
    for wrong in ({"minutes": "0"}, {"minutes": "-1"}, {"minutes": "x"}, {"sentence": "x" * 141}, {"sentence": ""}):
        assert browser.post(PAGE, data={"sentence": "Hello.", "minutes": "5"} | wrong).status_code == 400
    assert browser.get("/labs/nowhere/tell").status_code == 404
    assert browser.post(PAGE, data={"sentence": "Hello.", "minutes": "5"}).status_code == 303


def test_the_lesson_ends_and_can_be_called_off(site: Site) -> None:
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, site.ports.clock.now()))
    browser = site.browser()
    page = browser.post(PAGE, data={"do": "end", "minutes": "30", "then": "fresh"}, follow_redirects=True).text
    assert "It ends at" in page
    assert power.one(site.ports, "lab-a-01").due is Due.FRESH
    browser.post(PAGE, data={"do": "end", "minutes": "20", "then": "stop"})
    assert power.one(site.ports, "lab-a-01").due is Due.STOP
    assert "It ends at" not in browser.post(PAGE, data={"do": "call-off", "minutes": "1"}, follow_redirects=True).text
    assert power.one(site.ports, "lab-a-01").due is None
