# SPDX-License-Identifier: MIT
"""The jobs beside every page: what goes on, what ended last, and only what who looks may see and cancel."""

from __future__ import annotations

import pytest

from labvirt.domain.job import JobKind, JobState
from labvirt.domain.right import RIGHTS, Right, Role
from labvirt.usecases import jobs
from labvirt.web.ui.amounts import KINDS, STATES
from labvirt.web.ui.jobs import ENDED, SAID

from .conftest import Site
from .test_matrix import browser as signed_in
from .two_labs import FOREIGN, NUMBERS, OWN, furnish


def ended(site: Site, subject: str, state: JobState = JobState.DONE) -> int:
    job = jobs.enqueue(site.ports, JobKind.SCRUB, subject, by="anna")
    with site.ports.database.write() as work:
        work.jobs.update(job.over(state, site.ports.clock.now()))
        work.commit()
    return job.number


def test_every_kind_and_state_has_words(site: Site) -> None:
    assert (set(KINDS), set(STATES)) == (set(JobKind), set(JobState))
    jobs.enqueue(site.ports, JobKind.BACKUP, "backup", by="anna")
    for path in ("/jobs", "/jobs/drawer", "/jobs/1"):
        assert site.browser().get(path).status_code == 200


def test_what_goes_on_stands_above_the_last_that_ended(site: Site) -> None:
    browser = site.browser()
    assert "Nothing is under way." in browser.get("/jobs/drawer").text
    assert browser.get("/jobs/count").text.strip() == ""
    old = [ended(site, "tiny") for _ in range(ENDED + 1)]
    going = jobs.enqueue(site.ports, JobKind.SCRUB, "tiny", by="anna").number
    page = browser.get("/jobs/drawer").text
    above, below = page.split("Ended last")
    assert f'id="drawer-job-{going}"' in above
    assert "Waits for a worker for" in above
    assert [number for number in old if f'id="drawer-job-{number}"' in below] == old[1:]
    assert f"/jobs/{going}/cancel" in above
    assert "/cancel" not in below
    assert "1 under way" in browser.get("/jobs/count").text


def test_a_part_that_is_the_same_is_not_sent_again(site: Site) -> None:
    browser = site.browser()
    ended(site, "tiny")
    for path in ("/jobs/drawer", "/jobs/count"):
        etag = browser.get(path).headers["etag"]
        assert browser.get(path, headers={"If-None-Match": etag}).status_code == 304
    jobs.enqueue(site.ports, JobKind.SCRUB, "tiny", by="anna")
    assert browser.get("/jobs/count", headers={"If-None-Match": etag}).status_code == 200


def test_cancel_from_the_drawer_says_so_there(site: Site) -> None:
    number = jobs.enqueue(site.ports, JobKind.SCRUB, "tiny", by="anna").number
    browser = site.browser()
    beside = {"HX-Request": "true", "HX-Target": SAID}
    said = browser.post(f"/jobs/{number}/cancel", headers=beside)
    assert (said.status_code, said.headers["hx-trigger"]) == (200, "labvirt:drawer")
    assert f"The job {number} is cancelled." in said.text
    assert "<html" not in said.text
    assert "is cancelled." not in browser.get("/jobs").text  # it was said once
    done = ended(site, "tiny")
    assert "there is nothing to cancel" in browser.post(f"/jobs/{done}/cancel", headers=beside).text
    assert browser.post(f"/jobs/{done}/cancel").status_code == 303


def test_every_page_of_who_is_signed_in_has_it(site: Site) -> None:
    browser = site.browser()
    for path in ("/", "/account", "/jobs", "/nowhere"):
        page = browser.get(path, headers={"Accept": "text/html"}).text
        assert 'id="drawer"' in page, path
        assert 'id="jobs-beside"' in page, path
    assert 'id="drawer"' not in site.client().get("/door").text


@pytest.mark.parametrize("role", Role)
def test_nobody_sees_jobs_of_a_foreign_lab(site: Site, role: Role) -> None:
    furnish(site)
    own, everywhere = signed_in(site, role, OWN), signed_in(site, role, None)
    looks, cancels = Right.LOOK in RIGHTS[role], Right.UPDATE in RIGHTS[role]
    for person, labs in ((own, {OWN}), (everywhere, {OWN, FOREIGN})):
        page = person.get("/jobs/drawer").text
        assert {lab for lab in (OWN, FOREIGN) if f'id="drawer-job-{NUMBERS[lab]}"' in page} == (labs if looks else set())
        assert page.count("/cancel") // 2 == (len(labs) if cancels else 0)  # action and hx-post of each
        assert (f"{len(labs)} under way" in person.get("/jobs/count").text) == looks


def test_a_cancel_that_was_heard_is_not_offered_again(site: Site) -> None:
    number = jobs.enqueue(site.ports, JobKind.SCRUB, "tiny", by="anna").number
    with site.ports.database.write() as work:
        work.jobs.update(work.jobs.one(number).begun(site.ports.clock.now()))
        work.commit()
    browser = site.browser()
    assert "/cancel" in browser.get("/jobs/drawer").text
    assert f"The job {number} ends soon." in browser.post(f"/jobs/{number}/cancel", headers={"HX-Target": SAID}).text
    page = browser.get("/jobs/drawer").text
    assert "being cancelled" in page
    assert "/cancel" not in page
