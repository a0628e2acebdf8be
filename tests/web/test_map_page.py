# SPDX-License-Identifier: MIT
"""The map of a lab: where seats stand, what an act on many would come to, and what it came to."""

from __future__ import annotations

import re

from labvirt.domain.guest import GuestState, Wish
from labvirt.usecases import bulk, power, rooms
from labvirt.usecases.bulk import SeatAct, Why

from .conftest import Site, until
from .lab import fill, guest, put

MAP = "/labs/lab-a"


def places(site: Site) -> dict[int, tuple[str, int, int]]:
    return {p.seat: (p.room, p.x, p.y) for each in rooms.of_lab(site.ports, "lab-a", (1, 2, 3, 4)) for p in each.places}


def test_the_map_shows_every_seat_with_sign_and_words(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    page = site.browser().get(MAP).text
    assert re.findall(r'data-seat="(\d)"', page) == ["1", "2", "3", "4"]
    for words in ("in use", "running", "starting", "waiting for its turn"):
        assert f"<span>{words}" in page
    assert "signs.svg#used" in page
    assert "Waits for: DHCP has not given out its address yet" in page
    assert "Viewer 10.77.0.65" in page
    assert site.browser().get("/labs/no-lab").status_code == 404


def test_a_filter_is_in_the_address(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    page = site.browser().get(MAP, params={"show": "used"}).text
    assert re.findall(r'class="tile \w+ x\d y\d( dim)?"', page) == ["", " dim", " dim", " dim"]
    assert "/seats?show=used" in page


def test_the_fragment_is_not_sent_again_while_it_is_the_same(site: Site) -> None:
    browser = site.browser()
    first = browser.get(f"{MAP}/seats")
    again = browser.get(f"{MAP}/seats", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_a_seat_is_moved_and_saved(site: Site) -> None:
    browser = site.browser()
    assert places(site)[1] == ("", 1, 1)
    told = browser.post(f"{MAP}/places", data={"seat": "1", "room": "", "x": "5", "y": "2"})
    assert told.json() == {"places": [{"seat": 1, "room": "", "x": 5, "y": 2}]}
    assert places(site) == {1: ("", 5, 2), 2: ("", 2, 1), 3: ("", 3, 1), 4: ("", 4, 1)}  # nobody else moved
    browser.post(f"{MAP}/places", data={"seat": "1", "room": "", "x": "3", "y": "1"})
    assert (places(site)[1], places(site)[3]) == (("", 3, 1), ("", 5, 2))  # they changed places
    for wrong, code in (({"x": "99"}, 400), ({"x": "two"}, 400), ({"seat": "77"}, 404), ({"room": "cellar"}, 404)):
        answer = browser.post(f"{MAP}/places", data={"seat": "1", "room": "", "x": "1", "y": "1"} | wrong)
        assert answer.status_code == code, wrong


def test_rooms_come_and_go(site: Site) -> None:
    browser = site.browser()
    size = {"columns": "4", "rows": "3"}
    assert "Room 12" in browser.post(f"{MAP}/rooms", data={"do": "add", "room": "Room 12", **size}, follow_redirects=True).text
    assert places(site)[4] == ("Room 12", 4, 1)
    browser.post(f"{MAP}/rooms", data={"do": "add", "room": "Room 13", **size})
    browser.post(f"{MAP}/places", data={"seat": "4", "room": "Room 13", "x": "2", "y": "2"})
    assert places(site)[4] == ("Room 13", 2, 2)
    refused = browser.post(f"{MAP}/rooms", data={"do": "remove", "room": "Room 13"}, follow_redirects=True).text
    assert "the seat 4" in refused
    browser.post(f"{MAP}/places", data={"seat": "4", "room": "Room 12", "x": "4", "y": "3"})
    browser.post(f"{MAP}/rooms", data={"do": "remove", "room": "Room 13"})
    assert {room for room, _, _ in places(site).values()} == {"Room 12"}


def test_a_plan_says_what_will_be_refused_and_why(site: Site) -> None:
    now = site.ports.clock.now()
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, now), guest(2, GuestState.CONNECTED, now), guest(3, GuestState.STOPPED, now))
    assert power.one(site.ports, "lab-a-03").wish is Wish.STOPPED
    browser = site.browser()
    chosen = {"seats": ["1", "2", "3", "4", "60"]}
    page = browser.post(f"{MAP}/plan", data={"do": "start", **chosen}).text
    assert "Start: 2 seats of 5" in page
    assert page.count("it runs already") == 2
    assert "there is no such seat" in page
    assert power.one(site.ports, "lab-a-03").wish is Wish.STOPPED  # only looked at
    assert {each.seat: each.why for each in bulk.plan(site.ports, "lab-a", SeatAct.SHUTDOWN, (1, 3))} == {1: Why.WILL, 3: Why.OFF}
    assert "somebody sits there" in browser.post(f"{MAP}/plan", data={"do": "shutdown", "seats": ["2"]}).text
    assert browser.post(f"{MAP}/plan", data={"do": "explode", **chosen}).status_code == 400
    assert browser.post(f"{MAP}/plan", data={"do": "start"}).status_code == 400


def test_an_act_is_done_where_it_can_be(site: Site) -> None:
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, site.ports.clock.now()))
    browser = site.browser()
    page = browser.post(f"{MAP}/acts", data={"do": "start", "seats": ["1", "2", "3"]}, follow_redirects=True).text
    assert "Start: 2 seats." in page
    assert "lab-a-01: it runs already" in page
    assert [power.one(site.ports, f"lab-a-0{seat}").wish for seat in (2, 3)] == [Wish.RUNNING] * 2
    assert "Start: 2 seats." not in browser.get(MAP).text  # said once
    browser.post(f"{MAP}/acts", data={"do": "shutdown", "seats": ["1"]})
    assert power.one(site.ports, "lab-a-01").wish is Wish.STOPPED
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post(f"{MAP}/acts", data={"do": "shutdown", "seats": ["2"]}, headers=foreign).status_code == 403
    assert power.one(site.ports, "lab-a-02").wish is Wish.RUNNING


def test_the_seats_own_page_explains(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    page = site.browser().get("/seats/lab-a-01").text
    for words in (
        "Why this seat has this guest",
        "terminal lab-a-t01 gets desktop",
        "qemu-system-x86_64 -name lab-a-01",
        "/guests/lab-a-01/console",
    ):
        assert words in page
    assert site.browser().get("/seats/lab-a-t01").status_code == 200
    assert site.browser().get("/seats/nobody").status_code == 404
