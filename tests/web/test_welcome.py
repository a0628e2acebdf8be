# SPDX-License-Identifier: MIT
"""The first steps: the doctor from the page, a lab with its DHCP, an empty disk, a profile; what is refused comes back as it was sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from labvirt.domain.findings import Finding, Severity
from labvirt.domain.job import JobKind
from labvirt.domain.lab import DhcpMode
from labvirt.domain.profile import Mode, Protocol
from labvirt.usecases import jobs, labs, people, profiles

from .conftest import Site, until
from .lab import fill

GOOD = Finding(code="memory", severity=Severity.OK, sentence="Much memory is free.")
BAD = Finding(code="tun", severity=Severity.ERROR, sentence="There is no /dev/net/tun.", fix="modprobe tun")
OWN_STEP = Finding(code="no-lab", severity=Severity.WARNING, sentence="There is no lab.", fix="labvirt lab add lab-a")
LAB = {"name": "lab-x", "network": "10.90.0.0/24", "dhcp": "own"}
PROFILE = {"name": "first", "image": "tiny", "memory_mib": "256", "cpus": "2", "protocol": "spice", "mode": "snapshot"}


def state(page: str, step: str) -> str:
    """What the head of this step says."""
    told = re.search(rf'id="{step}"><h2>.*?<span class="tag \w+">([^<]*)<', page, re.S)
    assert told is not None, step
    return told[1]


def test_the_doctor_looks_from_the_page(site: Site) -> None:
    browser = site.browser()
    before = browser.get("/welcome").text
    assert ("Let the doctor look" in before, state(before, "host")) == (True, "done")
    site.engine.examined = (GOOD, BAD, OWN_STEP)
    looked = browser.post("/welcome/doctor")
    assert (looked.status_code, looked.headers["location"]) == (303, "/welcome#host")
    seen = browser.get("/welcome").text
    assert "There is no /dev/net/tun. What to do: <code>modprobe tun</code>" in re.sub(r"\s+", " ", seen)
    assert (GOOD.sentence in seen, OWN_STEP.sentence in seen, state(seen, "host")) == (True, False, "to do")
    assert "The doctor found nothing wrong" not in seen
    site.engine.examined = (GOOD,)
    seen = browser.get("/welcome").text
    assert ("The doctor looked at" in seen, "modprobe tun" in seen) == (True, True)  # what was found last, and not anew
    assert "modprobe tun" in browser.get("/hosts").text
    assert browser.post("/welcome/doctor", data={"back": "/hosts"}).headers["location"] == "/hosts"
    for path in ("/welcome", "/hosts"):
        assert "The doctor found nothing wrong" in browser.get(path).text, path
    assert state(browser.get("/welcome").text, "host") == "done"


def test_without_an_engine_the_page_says_where_the_doctor_is(site: Site) -> None:
    browser = site.browser()
    assert "<code>labvirt doctor</code>" not in browser.get("/welcome").text
    site.engine.set_away(True)
    assert browser.post("/welcome/doctor").status_code == 303
    until(lambda: "<code>labvirt doctor</code>" in browser.get("/welcome").text, "that the engine is away")
    away = browser.get("/welcome")
    assert (away.status_code, "<code>labvirt doctor</code>" in away.text, state(away.text, "host")) == (200, True, "to do")


@pytest.mark.parametrize("mode", list(DhcpMode))
def test_a_lab_with_each_way_of_dhcp(serve: Callable[..., Site], mode: DhcpMode) -> None:
    site = serve(seats=0)
    browser = site.browser()
    assert state(browser.get("/welcome").text, "lab") == "to do"
    made = browser.post("/welcome/lab", data={**LAB, "dhcp": mode}, follow_redirects=True).text
    assert (state(made, "lab"), "The lab lab-x is there" in made) == ("done", True)
    assert [(lab.name, lab.dhcp) for lab in labs.everything(site.ports)] == [("lab-x", mode)]
    assert ("labvirt lab dhcp lab-x" in made) == (mode is not DhcpMode.OWN)


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"network": "nothing"}, "network"),
        ({"network": "10.77.0.0/25"}, "network"),
        ({"network": "10.77.0.0/24"}, "network"),
        ({"name": "Lab X"}, "name"),
        ({"name": "lab-a"}, "name"),
        ({"dhcp": "perhaps"}, "dhcp"),
        ({"network": "10.90.0.0/26", "dhcp": "proxy"}, "dhcp"),
    ],
)
def test_a_lab_that_is_refused_says_so_at_the_field(site: Site, changes: dict[str, str], field: str) -> None:
    sent = {**LAB, "dhcp": "none", **changes}
    wrong = site.browser().post("/welcome/lab", data=sent)
    assert wrong.status_code in (400, 409)
    assert re.findall(r'id="wrong-([\w-]+)"', wrong.text) == [f"lab-{field}"]
    assert re.search(rf'aria-invalid="true" autofocus aria-describedby="wrong-lab-{field}', wrong.text)
    for key in ("name", "network"):
        assert re.search(rf'id="lab-{key}" name="{key}" value="{re.escape(sent[key])}"', wrong.text), key
    if sent["dhcp"] in tuple(DhcpMode):
        assert re.search(rf'name="dhcp" value="{sent["dhcp"]}" checked', wrong.text)
    assert [lab.name for lab in labs.everything(site.ports)] == ["lab-a"]


def test_an_empty_disk_is_made_and_its_job_is_shown(site: Site) -> None:
    browser = site.browser()
    for field, name, gib in (("gib", "win", "much"), ("gib", "win", "nan"), ("name", "W!", "1")):
        wrong = browser.post("/welcome/image", data={"name": name, "gib": gib})
        assert (wrong.status_code, re.findall(r'id="wrong-([\w-]+)"', wrong.text)) == (400, [f"image-{field}"])
        assert f'value="{gib}"' in wrong.text
    too_big = browser.post("/welcome/image", data={"name": "win", "gib": "999999"})
    assert re.findall(r'id="wrong-([\w-]+)"', too_big.text) == ["image-gib"]
    assert jobs.everything(site.ports) == ()
    made = browser.post("/welcome/image", data={"name": "win", "gib": "0,5"}, follow_redirects=True).text
    [job] = jobs.everything(site.ports)
    assert (job.kind, job.subject, job.arguments["bytes"]) == (JobKind.BLANK, "win", str(1 << 29))
    assert f'href="/jobs/{job.number}"' in made


def test_a_profile_is_made_from_the_image(site: Site) -> None:
    fill(site.ports, site.engine, 2)
    browser = site.browser()
    assert re.search(r"<option selected>tiny", browser.get("/welcome").text)
    for field, value in (("memory_mib", "1"), ("cpus", "many"), ("name", "desktop"), ("protocol", "vnc"), ("mode", "")):
        wrong = browser.post("/welcome/profile", data={**PROFILE, field: value})
        assert re.findall(r'id="wrong-([\w-]+)"', wrong.text) == [f"profile-{field}"]
        assert re.search(rf'id="profile-cpus" name="cpus" value="{"many" if field == "cpus" else 2}"', wrong.text)
    gone = browser.post("/welcome/profile", data={**PROFILE, "image": "no-such"})
    assert (gone.status_code, "no-such" in gone.text) == (404, True)
    assert len(profiles.everything(site.ports)) == 1
    assert "The profile first is there." in browser.post("/welcome/profile", data=PROFILE, follow_redirects=True).text
    made = profiles.one(site.ports, "first")
    assert (made.memory_mib, made.cpus, made.protocol, made.mode) == (256, 2, Protocol.SPICE, Mode.SNAPSHOT)
    assert [slot.image for slot in made.slots] == ["tiny"]


def test_without_an_image_the_profile_leads_to_one(serve: Callable[..., Site]) -> None:
    site = serve(seats=0)
    with site.ports.database.write() as work:
        work.images.update(replace(work.images.one("tiny"), binned_at=site.ports.clock.now()))
        work.commit()
    page = site.browser().get("/welcome").text
    assert ('href="#image"' in page, 'action="/welcome/profile"' in page, 'id="upload"' in page) == (True, False, True)


def test_who_came_by_the_shell_is_led_to_a_name(serve: Callable[..., Site]) -> None:
    site = serve(seats=0)
    assert state(site.browser().get("/welcome").text, "person") == "to do"
    named = site.client()
    named.post("/enter", data={"code": site.code, "name": "anna", "password": "four words in a row"})
    page = named.get("/welcome").text
    assert (state(page, "person"), "You are signed in as anna." in page) == ("done", True)


def test_only_who_administers_gets_in(site: Site) -> None:
    people.add(site.ports, "bert", password="four words in a row")
    client = site.client()
    client.post("/enter", data={"name": "bert", "password": "four words in a row"})
    assert client.get("/welcome").status_code == 403
    assert [client.post(f"/welcome/{step}", data=LAB).status_code for step in ("doctor", "lab", "image", "profile")] == [403] * 4
    assert "What the doctor found" not in client.get("/hosts").text
    boss = site.browser()
    assert [boss.get("/welcome").status_code, boss.post("/welcome/doctor").status_code] == [200, 303]
    assert "What the doctor found" in boss.get("/hosts").text


def test_the_first_administrator_of_a_site_without_a_lab_comes_here_and_of_another_to_the_labs(serve: Callable[..., Site]) -> None:
    for seats, place in ((0, "/welcome"), (2, "/")):
        site = serve(seats=seats)
        told = {"code": site.code, "name": "anna", "password": "four words in a row"}
        assert site.client().post("/enter", data=told).headers["location"] == place, seats
