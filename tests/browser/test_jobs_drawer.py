# SPDX-License-Identifier: MIT
"""The jobs beside a page, in a real browser: by keys, on a phone, and live."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from labvirt.domain.job import JobKind
from labvirt.usecases import jobs
from tests.web.conftest import Site, until

from .conftest import CHROMIUM
from .test_pages import PAGES, serious

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
FOCUS = "document.activeElement.id"


def importing(lab: Site, done: int = 1 << 30) -> int:
    """A job that copies 4 GiB and has done so much of it."""
    job = jobs.enqueue(lab.ports, JobKind.IMPORT, "windows", by="anna")
    tell(lab, job.number, done)
    return job.number


def tell(lab: Site, number: int, done: int) -> None:
    now = lab.ports.clock.now()
    with lab.ports.database.write() as work:
        job = work.jobs.one(number)
        if not job.attempts:
            job = job.begun(now)
        work.jobs.update(replace(job, step="copying", step_since=job.step_since or now, unit="bytes", total=4 << 30, done=done))
        work.commit()


@pytest.mark.timeout(240)
def test_it_is_opened_and_left_by_keys_and_is_live(page: Page, lab: Site) -> None:
    number = importing(lab)
    page.goto(f"{lab.url}/profiles")
    page.locator("#jobs-count", has_text="1").wait_for()
    page.locator("#find").focus()
    page.keyboard.press("j")
    line = page.locator(f"#drawer-job-{number}")
    line.get_by_text("1.0 GiB of 4.0 GiB").wait_for()
    assert page.evaluate("document.getElementById('drawer').contains(document.activeElement)")
    tell(lab, number, 3 << 30)
    line.get_by_text("3.0 GiB of 4.0 GiB").wait_for()
    assert line.get_by_text("per second").is_visible()
    page.keyboard.press("Escape")
    page.locator("#drawer").wait_for(state="hidden")
    assert page.evaluate(FOCUS) == "find"
    page.locator("#jobs-beside").focus()
    page.keyboard.press("Enter")
    line.wait_for()
    page.keyboard.press("Escape")
    assert page.evaluate(FOCUS) == "jobs-beside"
    page.keyboard.press("?")
    assert "Jobs beside this page" in page.locator("#sheet").inner_text()


@pytest.mark.timeout(240)
def test_it_asks_only_while_it_is_open(page: Page, lab: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/jobs/drawer") else None)
    page.goto(f"{lab.url}/jobs")
    page.wait_for_timeout(2500)
    assert asked == []
    page.keyboard.press("j")
    until(lambda: page.wait_for_timeout(100) or len(asked) > 1, "it is asked for again")
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    before = len(asked)
    page.wait_for_timeout(2500)
    assert len(asked) == before


@pytest.mark.timeout(240)
def test_cancel_leaves_the_page_where_it_is(page: Page, lab: Site) -> None:
    number = jobs.enqueue(lab.ports, JobKind.SCRUB, "tiny", by="anna").number
    page.goto(f"{lab.url}/labs/lab-a")
    page.locator("#seat-2 .pick").click()
    page.locator("#jobs-beside").click()
    page.locator(f"#drawer-job-{number}").get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    page.locator("#drawer-said", has_text=f"The job {number} is cancelled.").wait_for()
    page.locator("#drawer-jobs", has_text="Nothing is under way.").wait_for()
    assert page.evaluate(FOCUS) == "drawer-said"
    assert page.url.endswith("/labs/lab-a")
    page.keyboard.press("Escape")
    assert page.locator("#seat-2 .pick").is_checked()
    expect(page.locator("#jobs-count")).to_have_text("", timeout=60_000)  # asked for every ten seconds


@pytest.mark.timeout(240)
def test_nothing_serious_keeps_anybody_out_of_it(page: Page, lab: Site) -> None:
    number = importing(lab)
    jobs.cancel(lab.ports, jobs.enqueue(lab.ports, JobKind.SCRUB, "tiny", by="anna").number, by="anna")
    for theme, width in (("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{lab.url}/jobs")
        page.locator("#jobs-count", has_text="1").wait_for()
        page.keyboard.press("j")
        page.locator(f"#drawer-job-{number}").wait_for()
        assert serious(page) == [], (theme, width)
        assert page.evaluate("document.getElementById('drawer').scrollWidth <= innerWidth"), (theme, width)
        assert page.evaluate("document.querySelector('.top').scrollWidth <= innerWidth"), (theme, width)


@pytest.mark.timeout(240)
def test_every_page_opens_it(page: Page, lab: Site) -> None:
    for path in PAGES:
        page.goto(lab.url + path)
        page.locator("#jobs-beside").click()
        page.locator("#drawer-jobs", has_text="Nothing is under way.").wait_for()
        page.keyboard.press("Escape")
        page.locator("#drawer").wait_for(state="hidden")
