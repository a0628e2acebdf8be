# SPDX-License-Identifier: MIT
"""Profiles, images, jobs, hosts, search, the self-portrait and the first steps, as people see and use them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from labvirt.contracts.engine import TemplateReport, TemplateStatus, TemplateWish
from labvirt.domain.image import DiskChoice
from labvirt.domain.job import JobKind
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.usecases import jobs, labs, profiles

from .conftest import Site
from .lab import fill

PAGES = (
    "/images",
    "/images/tiny",
    "/mine",
    "/mine/part",
    "/jobs",
    "/jobs/part",
    "/hosts",
    "/hosts/part",
    "/search?q=lab",
    "/plant",
    "/welcome",
)


@pytest.mark.parametrize("path", [*PAGES, "/profiles", "/profiles/desktop", "/profiles/desktop/edit", "/profiles/+new"])
def test_every_page_answers_in_every_language(site: Site, path: str) -> None:
    fill(site.ports, site.engine, 4)
    browser = site.browser()
    for name in ("en", "es", "fr", "cs", "ru"):
        assert browser.get(path, headers={"Accept-Language": name}).status_code == 200
    assert site.client().get(path).status_code == 401


@pytest.mark.parametrize("path", ["/", "/mine", "/plant", "/hosts", "/welcome", "/inbox", "/search?q=x"])
def test_an_empty_site_has_pages_too(serve: Callable[..., Site], path: str) -> None:
    assert serve(seats=0).browser().get(path).status_code == 200


def form(browser: object, path: str, **changes: str) -> dict[str, str]:
    """What a browser would send from the form on this page, with some fields changed."""
    page = browser.get(path).text  # type: ignore[attr-defined]
    told = dict(re.findall(r'<input class="form-control[^>]*name="(\w+)" value="([^"]*)"', page))
    for name, options in re.findall(r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        if name not in told:
            told[name] = (chosen[1] or chosen[2]) if chosen else ""
    told |= dict.fromkeys(re.findall(r'type="checkbox" id="field-\w+" name="(\w+)" value="yes" checked', page), "yes")
    return told | changes


def test_a_profile_is_changed_and_errors_stand_at_their_field(site: Site) -> None:
    browser, path = site.browser(), "/profiles/desktop/edit"
    done = browser.post(path, data=form(browser, path, memory_mib="128", note="for all"), follow_redirects=True)
    assert "The profile desktop is changed" in done.text
    assert (profiles.one(site.ports, "desktop").memory_mib, profiles.one(site.ports, "desktop").note) == (128, "for all")
    for field, value in (("memory_mib", "1"), ("cpus", "many"), ("extra", "-device evil"), ("ready_port", "99999")):
        wrong = browser.post(path, data=form(browser, path, **{field: value}))
        assert wrong.status_code == 400
        assert f'id="wrong-{field}"' in wrong.text, field
        assert re.search(rf'id="field-{field}"[^>]*aria-(?:invalid|describedby)=', wrong.text), field
    assert profiles.one(site.ports, "desktop").memory_mib == 128


def test_a_profile_is_made_compared_and_removed(site: Site) -> None:
    browser = site.browser()
    made = browser.post(
        "/profiles/+new", data=form(browser, "/profiles/desktop/edit", name="second", memory_mib="256"), follow_redirects=True
    )
    assert "The profile second is there." in made.text
    page = browser.get("/profiles/second", params={"with": "desktop"}).text
    assert re.search(r"memory_mib</th><td>256</td><td>64", page)
    assert "-name lab-a-02 second" in browser.get("/profiles/second/preview", params={"lab": "lab-a", "seat": "2"}).text
    assert "must be 1 to" in browser.get("/profiles/second/preview", params={"lab": "lab-a", "seat": "0"}).text
    browser.post("/profiles/second/do", data={"do": "remove"})
    assert [each.name for each in profiles.everything(site.ports)] == ["desktop"]


def test_a_job_says_what_it_waits_for_and_is_cancelled(site: Site) -> None:
    job = jobs.enqueue(site.ports, JobKind.SCRUB, "tiny", by="anna")
    browser = site.browser()
    page = browser.get("/jobs").text
    assert "Waits for a worker for" in page
    assert "asked by anna" in page
    assert f"The job {job.number} is cancelled." in browser.post(f"/jobs/{job.number}/cancel", follow_redirects=True).text
    assert "Waits for a worker" not in browser.get("/jobs").text
    assert browser.get("/jobs/77").status_code == 404


def test_search_finds_names_and_addresses(site: Site) -> None:
    browser = site.browser()
    found = browser.get("/search/found", params={"q": "lab-a-t02"}).text
    assert 'href="/terminal/lab-a-t02"' in found
    assert 'href="/seats/lab-a-03"' in browser.get("/search/found", params={"q": "10.77.0.131"}).text
    assert "Nothing has that name." in browser.get("/search/found", params={"q": "<b>xyz"}).text


def test_the_first_steps_make_a_lab(serve: Callable[..., Site]) -> None:
    site = serve(seats=0)
    browser = site.browser()
    assert "overlaps" not in browser.get("/welcome").text
    made = browser.post("/welcome/lab", data={"name": "lab-x", "network": "10.90.0.0/24", "dhcp": "own"}, follow_redirects=True).text
    assert "The lab lab-x is there, with room for 63 seats." in made
    assert [lab.name for lab in labs.everything(site.ports)] == ["lab-x"]
    wrong = browser.post("/welcome/lab", data={"name": "lab-y", "network": "10.90.0.0/25", "dhcp": "own"})
    assert (wrong.status_code, "overlaps" in wrong.text) == (400, True)


def test_the_templates_of_a_profile_are_shown_made_and_removed(site: Site) -> None:
    browser = site.browser()
    assert "Instant clones</h2>" not in browser.get("/profiles/desktop").text  # who does not opt in sees nothing of it
    profiles.change(site.ports, "desktop", instant_clone=True)
    disks = (DiskChoice(place=0, image="tiny", version=1),)
    made = MadeFrom(disks=disks, machine="m", ground=Ground(hypervisor="qemu 7.2.22", accelerator="tcg"))
    template = Template(name=TemplateName("desktop", 3), made_from=made, made_at=site.ports.clock.now())
    site.engine.report = TemplateReport(
        kept=(TemplateStatus(template=template, disk_bytes=3 << 20, memory_bytes=64 << 20, stale="it is <old>", users=("lab-a-01.g3",)),),
        missing=(TemplateWish(profile="desktop", disks=disks, usb=True),),
    )
    page = browser.get("/profiles/desktop").text
    for words in (
        "desktop.t3",
        "MiB of memory for all its clones",
        "it is &lt;old&gt;",
        "Needed by lab-a-01.g3",
        "no template of tiny v1 + USB yet",
    ):
        assert words in page, words
    asked = browser.post("/profiles/desktop/do", data={"do": "template"})
    assert asked.headers["location"].startswith("/jobs/")
    job = jobs.everything(site.ports)[0]
    assert (job.kind, job.subject, job.arguments["usb"]) == (JobKind.TEMPLATE, "desktop", "yes")
    gone = browser.post("/profiles/desktop/do", data={"do": "remove-template", "number": "3"}, follow_redirects=True)
    assert "The template desktop.t3 is gone." in gone.text
    wrong = browser.post("/profiles/desktop/do", data={"do": "remove-template", "number": "../3"}, follow_redirects=True)
    assert "is not the name of a template" in wrong.text
    assert site.engine.templates_removed == ["desktop.t3"]
    site.engine.report = TemplateReport(problem="the driver libvirt has no instant clones here")
    assert "There are none on this host: the driver libvirt" in browser.get("/profiles/desktop").text
    site.engine.set_away(True)
    assert "There are none on this host: The engine does not answer" in browser.get("/profiles/desktop").text


def test_a_profile_that_cannot_be_cloned_says_which_field(site: Site) -> None:
    browser, path = site.browser(), "/profiles/desktop/edit"
    wrong = browser.post(path, data=form(browser, path, instant_clone="yes", firmware="uefi"))
    assert (wrong.status_code, 'id="wrong-instant_clone"' in wrong.text) == (400, True)
    right = browser.post(path, data=form(browser, path, instant_clone="yes"), follow_redirects=True)
    assert "The profile desktop is changed" in right.text
    assert profiles.one(site.ports, "desktop").instant_clone
