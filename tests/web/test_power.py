# SPDX-License-Identifier: MIT
"""Power over HTTP: a heartbeat's answer, a terminal's hardware, and the pages that switch terminals."""

from __future__ import annotations

import pytest

from labvirt.domain.guest import GuestState
from labvirt.domain.power_order import OrderState, PowerWord
from labvirt.usecases import hardware, orders

from .conftest import Site
from .lab import guest, put, terminal_mac
from .test_ticket import BEAT, MINE, give_lease, lines

HARDWARE = "/terminals/hardware"
SAID = {"memory_mib": "994", "cpus": "2", "cpu": "Atom <b>N270</b>", "product": "Wyse", "link_mbps": "100", "screens": "1280x1024"}
NAME = "lab-a-t01"


def last(site: Site) -> OrderState:
    return orders.last(site.ports, NAME)[0].state


def test_an_order_comes_with_the_heartbeats_answer(site: Site) -> None:
    client = site.client()
    give_lease(site)
    assert client.post(BEAT, data=MINE | {"viewer": "none"}).status_code == 204
    placed = orders.place(site.ports, NAME, PowerWord.SHUTDOWN, by="teacher")
    answer = client.post(BEAT, data=MINE | {"viewer": "none"})
    assert answer.status_code == 200
    assert lines(answer) == {"order": "shutdown", "order_id": str(placed.number)}
    last_words = {"viewer": "none", "leaving": "shutdown", "order_done": str(placed.number)}
    assert client.post(BEAT, data=MINE | last_words).status_code == 204
    assert last(site) is OrderState.DONE
    for wrong in ({"leaving": "dancing"}, {"order_done": "x"}, {"order_refused": "9" * 50}):
        assert client.post(BEAT, data=MINE | {"viewer": "none"} | wrong).status_code == 400


def test_hardware_is_taken_from_its_own_address_only_and_bounded(site: Site) -> None:
    client = site.client()
    assert client.post(HARDWARE, data=MINE | SAID).status_code == 403
    give_lease(site)
    assert client.post(HARDWARE, data=MINE | SAID).status_code == 204
    report = hardware.one(site.ports, NAME).report
    assert report is not None
    assert (report.hardware.memory_mib, report.hardware.screens) == (994, ("1280x1024",))
    assert client.post(HARDWARE, data={"id": str(terminal_mac(2))} | SAID).status_code == 403
    assert client.post(HARDWARE, data={"id": "PC-99"} | SAID).status_code == 404
    for wrong in ({"memory_mib": "-1"}, {"cpus": "9" * 9}, {"link_mbps": "1e3"}, {"memory_mib": "0"}, {"screens": ",".join("abcdef")}):
        assert client.post(HARDWARE, data=MINE | wrong).status_code == 400, wrong
    assert client.get(HARDWARE).status_code == 405
    assert client.post(HARDWARE, data=MINE | {"cpu": "x" * 300, "screens": ""}).status_code == 204
    report = hardware.one(site.ports, NAME).report
    assert report is not None
    assert (len(report.hardware.cpu), report.hardware.screens, report.hardware.memory_mib) == (80, (), None)


def test_the_page_of_a_terminal_shows_what_it_says_as_text_and_switches_it(site: Site) -> None:
    give_lease(site)
    site.client().post(HARDWARE, data=MINE | SAID)
    browser = site.browser()
    page = browser.get(f"/terminal/{NAME}").text
    assert "Atom &lt;b&gt;N270&lt;/b&gt;" in page
    assert "It has 1.0 GB of memory" in page
    assert browser.post(f"/terminal/{NAME}/power", data={"do": "wake"}).status_code == 303
    assert site.engine.woken == (terminal_mac(1),)
    assert browser.post(f"/terminal/{NAME}/power", data={"do": "restart", "ask": "no"}).status_code == 303
    assert "waits for its next heartbeat" in browser.get(f"/terminal/{NAME}").text
    assert browser.post(f"/terminal/{NAME}/power", data={"do": "cancel"}).status_code == 303
    assert last(site) is OrderState.CANCELLED
    assert "Call the order off" not in browser.get(f"/terminal/{NAME}").text
    assert browser.post(f"/terminal/{NAME}/power", data={"do": "explode"}).status_code == 400
    assert browser.get("/terminal/nobody").status_code == 404
    assert browser.get("/terminal/..%2f..%2fetc").status_code in (400, 404)


def test_where_somebody_sits_the_seat_may_be_told_first(site: Site) -> None:
    put(site.ports, site.engine, guest(1, GuestState.CONNECTED, site.ports.clock.now()))
    browser = site.browser()
    assert "Tell the seat, then after 5 minutes" in browser.get(f"/terminal/{NAME}").text
    assert "Tell the seat" not in browser.get("/terminal/lab-a-t02").text
    browser.post(f"/terminal/{NAME}/power", data={"do": "shutdown", "ask": "first"})
    placed = orders.last(site.ports, NAME)[0]
    assert (placed.not_before - placed.asked_at).total_seconds() == 300
    assert "Please save your work" in placed.notice


def test_the_page_of_a_lab_lists_and_switches_all(site: Site) -> None:
    give_lease(site)
    site.client().post(HARDWARE, data=MINE | SAID)
    site.client().post(BEAT, data=MINE | {"viewer": "none"})
    browser = site.browser()
    page = browser.get("/lab/lab-a/power").text
    assert "100 Mbit/s" in page
    assert "has not said what machine it is" in page
    assert browser.post("/lab/lab-a/power", data={"do": "wake"}).status_code == 303
    assert len(site.engine.woken) == 4
    assert browser.post("/lab/lab-a/power", data={"do": "shutdown", "occupied": "spare"}).status_code == 303
    assert [order.terminal for order in orders.last(site.ports)] == [NAME]
    for wrong in ({"do": "cancel"}, {"do": "restart", "occupied": "perhaps"}, {}):
        assert browser.post("/lab/lab-a/power", data=wrong).status_code == 400
    assert browser.get("/lab/nowhere/power").status_code == 404


def test_first_page_links_to_both_and_says_what_is_poor(site: Site) -> None:
    give_lease(site)
    site.client().post(HARDWARE, data=MINE | SAID)
    page = site.browser().get("/").text
    assert f'href="/terminal/{NAME}"' in page
    assert 'href="/lab/lab-a/power"' in page
    assert "Terminal says: little memory, slow network" in page


@pytest.mark.parametrize("path", [f"/terminal/{NAME}/power", "/lab/lab-a/power"])
def test_nobody_switches_without_a_sign_in_or_from_another_site(site: Site, path: str) -> None:
    assert site.client().post(path, data={"do": "wake"}).status_code == 401
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert site.browser().post(path, data={"do": "wake"}, headers=foreign).status_code == 403
    assert site.client().get(f"/terminal/{NAME}").status_code == 401
    assert site.engine.woken == ()
    assert site.browser().post(path, data={"do": "wake"}).status_code == 303
    assert site.engine.woken
