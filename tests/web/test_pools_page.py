# SPDX-License-Identifier: MIT
"""The page of a lab's warm pools: what waits, who was served from where, and the form that changes it."""

from __future__ import annotations

import re

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.caller import Grant
from labvirt.domain.pool import Pool, SpareKind
from labvirt.domain.right import Role
from labvirt.usecases import people, pools, profiles, sign_in
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE

from .conftest import Site

PAGE = "/labs/lab-a/pools"
FIELD = re.compile(r'<input[^>]* id="(ready|paused|prespawned|minutes)-desktop"[^>]* value="(\d+)"([^>]*)>')


def fields(page: str) -> dict[str, str]:
    """What a browser would send from the form of the profile desktop."""
    return {name: value for name, value, rest in FIELD.findall(page) if "disabled" not in rest}


def cells(page: str) -> dict[str, list[str]]:
    """The rows of the table, without the fields."""
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', page, re.S)
    plain = [(re.sub(r"<[^>]*>", "", head), re.findall(r"<td[^>]*>(.*?)</td>", rest, re.S)) for head, rest in rows]
    return {head: [re.sub(r"<[^>]*>", "", each) for each in found] for head, found in plain}


def test_nothing_waits_yet_and_the_map_leads_there(site: Site) -> None:
    browser = site.browser()
    assert PAGE in browser.get("/labs/lab-a").text
    page = browser.get(PAGE).text
    assert "Nothing waits yet" in page
    assert "labvirt pool set lab-a desktop --ready 4" in page
    assert fields(page) == {"ready": "0", "minutes": "240"}  # it wants no clones: the others cannot be filled in
    profiles.change(site.ports, "desktop", instant_clone=True)
    page = browser.get(PAGE).text
    assert "labvirt pool set lab-a desktop --paused 4" in page
    assert fields(page) == {"ready": "0", "paused": "0", "prespawned": "0", "minutes": "240"}
    profiles.change(site.ports, "desktop", instant_clone=False, active=False)
    assert "No profile is for this lab yet" in browser.get(PAGE).text


def test_what_waits_and_who_was_served_from_where(site: Site) -> None:
    profiles.change(site.ports, "desktop", instant_clone=True)
    pools.put(site.ports, "lab-a", "desktop", ready=1, paused=4)
    browser = site.browser()
    assert "0 of 5 wait" in browser.get(PAGE).text  # the engine has not looked yet
    served = (("ready", 2), ("paused", 7), ("clone", 1), ("boot", 3))
    waiting = ((SpareKind.READY, 1), (SpareKind.PAUSED, 2))
    held = "the host has <no> memory left"
    site.engine.warm = (
        PoolStatus(lab="lab-a", profile="desktop", waiting=waiting, served=served, holds=held, last_refill_seconds=0.42),
        PoolStatus(lab="lab-b", profile="desktop", waiting=((SpareKind.READY, 40),)),
    )
    page = browser.get(PAGE).text
    assert cells(page) == {
        "runs already": ["", "1", "2"],
        "loaded, stands still": ["", "2", "7"],
        "process only": ["", "0", "0"],
        "clone, nothing waited": ["", "", "1"],
        "booted, nothing waited": ["", "", "3"],
    }
    for words in ("3 of 5 wait", "No more are made now: the host has &lt;no&gt; memory left.", "was made in 0.4 s"):
        assert words in page
    site.engine.set_away(True)
    page = browser.get(PAGE).text
    assert "nobody knows what waits now" in page
    assert cells(page)["runs already"] == ["", "?", "?"]


def test_a_pool_is_changed_and_removed(site: Site) -> None:
    profiles.change(site.ports, "desktop", instant_clone=True)
    browser = site.browser()
    sent = {"profile": "desktop", **fields(browser.get(PAGE).text), "paused": "3", "minutes": "60"}
    done = browser.post(PAGE, data=sent, follow_redirects=True)
    assert "Of desktop 3 desktops are to wait." in done.text
    assert pools.of_lab(site.ports, "lab-a") == (Pool(lab="lab-a", profile="desktop", paused=3, minutes=60),)
    gone = browser.post(PAGE, data={**sent, "do": "remove"}, follow_redirects=True)
    assert "Of desktop none waits any more." in gone.text
    assert pools.of_lab(site.ports, "lab-a") == ()


def test_what_is_refused_stands_at_its_field_and_keeps_what_was_typed(site: Site) -> None:
    browser = site.browser()
    for field, value, why in (
        ("ready", "61", "All three together are more than the 60 seats"),
        ("ready", "many", "Must be a whole number"),
        ("minutes", "0", "Must be 1 to"),
        ("paused", "2", "does not want them."),
    ):
        sent = {"profile": "desktop", "ready": "1", "minutes": "60", field: value}
        wrong = browser.post(PAGE, data=sent)
        assert (wrong.status_code, why in wrong.text) == (400, True)
        shown = re.search(rf'<input[^>]* id="{field}-desktop"[^>]*>', wrong.text)
        assert shown is not None
        assert f'value="{value}"' in shown[0]
        assert 'aria-invalid="true"' in shown[0]
        assert pools.of_lab(site.ports, "lab-a") == ()
    assert browser.post(PAGE, data={"profile": "nobody", "ready": "1"}).status_code == 404
    assert browser.post(PAGE, data={"profile": "desktop", "ready": "60", "minutes": "60"}).status_code == 303
    assert pools.one(site.ports, "lab-a", "desktop").ready == 60


def test_who_may_only_look_sees_counts_and_no_form(site: Site) -> None:
    pools.put(site.ports, "lab-a", "desktop", ready=2)
    people.add(site.ports, "tom", grants=(Grant(Role.TEACHER, "lab-a"),))
    people.set_password(site.ports, "tom", "four words in a row")
    opened = sign_in.with_password(site.ports, "tom", "four words in a row", who=From(address="192.0.2.1"))
    teacher = site.client(cookies={COOKIE: opened.token})
    page = teacher.get(PAGE).text
    assert cells(page)["runs already"] == ["2", "0", "0"]
    assert 'name="minutes"' not in page
    assert 'name="minutes"' in site.browser().get(PAGE).text
    assert teacher.post(PAGE, data={"profile": "desktop", "ready": "1"}).status_code == 403
    assert pools.one(site.ports, "lab-a", "desktop").ready == 2
