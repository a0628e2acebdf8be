# SPDX-License-Identifier: MIT
"""The inbox: adopt, put in the place of an old PC, dismiss; and terminals from a list."""

from __future__ import annotations

from labvirt.domain.addresses import MacAddress
from labvirt.usecases import enrol, rooms, terminals

from .conftest import Site
from .lab import terminal_mac

NEW = MacAddress(0x525400CC0001)


def knock(site: Site, mac: MacAddress = NEW) -> str:
    """A stranger asked; its code."""
    site.client().get("/terminals/config", params={"id": str(mac), "wait": "0"})
    return next(each.code for each in enrol.strangers(site.ports) if each.mac == mac)


def test_adopt_from_the_page(site: Site) -> None:
    browser, code = site.browser(), knock(site)
    assert code in browser.get("/inbox").text
    assert site.client().post("/inbox/adopt", data={"code": code, "lab": "lab-a"}).status_code == 401
    page = browser.post("/inbox/adopt", data={"code": code, "lab": "lab-a", "do": "adopt"}, follow_redirects=True).text
    assert "lab-a-t05 is adopted: seat 5 of lab-a." in page
    assert terminals.one(site.ports, "lab-a-t05").mac == NEW
    assert enrol.strangers(site.ports) == ()


def test_a_new_pc_takes_over_a_seat(site: Site) -> None:
    browser, code = site.browser(), knock(site)
    page = browser.post("/inbox/adopt", data={"code": code, "terminal": "lab-a-t02", "do": "replace"}, follow_redirects=True).text
    assert "it keeps its seat 2 of lab-a" in page
    after = terminals.one(site.ports, "lab-a-t02")
    assert (after.mac, after.seat) == (NEW, 2)
    assert len(terminals.everything(site.ports)) == 4
    old = site.client().get("/terminals/config", params={"id": str(terminal_mac(2)), "wait": "0"}).text
    assert "status=unknown" in old


def test_dismiss_and_a_code_that_nobody_has(site: Site) -> None:
    browser, code = site.browser(), knock(site)
    assert "There is no stranger" in browser.post("/inbox/adopt", data={"code": "ZZZZZZ", "do": "dismiss"}, follow_redirects=True).text
    assert len(enrol.strangers(site.ports)) == 1
    browser.post("/inbox/adopt", data={"code": code, "do": "dismiss"})
    assert enrol.strangers(site.ports) == ()


GOOD = "mac,lab,seat,name,room,x,y\n52:54:00:dd:00:01,lab-a,7,pc-07,North,2,1\n52:54:00:dd:00:02,lab-a,,,,,\n"


def test_a_list_is_looked_at_then_taken(site: Site) -> None:
    browser = site.browser()
    look = browser.post("/inbox/list", data={"list": GOOD, "do": "look"}).text
    assert "pc-07" in look
    assert "Add 2 terminals" in look
    assert len(terminals.everything(site.ports)) == 4  # only looked at
    assert "2 terminals were added." in browser.post("/inbox/list", data={"list": GOOD, "do": "take"}, follow_redirects=True).text
    assert terminals.one(site.ports, "lab-a-t05").mac == MacAddress(0x525400DD0002)
    where = {place.seat: (place.room, place.x) for each in rooms.of_lab(site.ports, "lab-a", (5, 7)) for place in each.places}
    assert where[7] == ("North", 2)


def test_every_wrong_line_says_why_and_nothing_is_taken(site: Site) -> None:
    browser = site.browser()
    wrong = GOOD + "52:54:00:dd:00:01,lab-a,8,,,,\nnonsense,lab-a,9,,,,\n52:54:00:dd:00:09,no-lab,,,,,\n52:54:00:dd:00:0a,lab-a,two,,,,\n"
    look = browser.post("/inbox/list", data={"list": wrong, "do": "look"}).text
    assert "4 lines are wrong" in look
    for number in (4, 5, 6, 7):
        assert f'<th scope="row">{number}</th>' in look
    assert "Add " not in look.partition("Look at it")[2].partition("</form>")[0]
    assert browser.post("/inbox/list", data={"list": wrong, "do": "take"}).status_code == 400
    assert len(terminals.everything(site.ports)) == 4
    assert "knows no column" in browser.post("/inbox/list", data={"list": "mac,colour\n1,2\n", "do": "look"}).text
