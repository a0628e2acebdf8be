# SPDX-License-Identifier: MIT
"""What people do in a browser, on the real thing: from a set-up code to a booted lab, a profile cloned and edited, a teacher's update with
its canary, its publication, and undo. The command line is used only to look, and to do inside of guests what a teacher would."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.system.conftest import MakeHouse
from tests.system.house import LAB, NETWORK, House, guest, guest_address, mac, special, wait_for
from tests.system.terminal import PORT

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
]

PATIENCE_MS = 120_000
PAGES = (
    *("/", "/labs", f"/labs/{LAB}", f"/labs/{LAB}/seats", f"/labs/{LAB}/boots", f"/labs/{LAB}/tell", "/mine", "/mine/part", "/inbox"),
    *(f"/seats/{guest(1)}", f"/guests/{guest(1)}/console", f"/guests/{guest(1)}/screen.png", f"/guests/{special(1)}/console"),
    *("/profiles", "/profiles/lesson", f"/profiles/lesson/preview?lab={LAB}", "/images", "/images/tiny", "/drafts/tiny.d1/now"),
    *("/jobs", "/jobs/1", "/jobs/drawer", "/hosts", "/plant", "/settings", "/people", "/audit", "/account", "/welcome"),
    *("/search?q=tiny", "/api/v1/docs", "/api/v1/labs", "/api/v1/guests", "/api/v1/images", "/api/v1/sessions", "/metrics"),
)
"""All that a person looks at, asked beside real machines by the web process that has no rights of its own."""
PASSWORD = "four words in a row"


@pytest.fixture(scope="module")
def house(make_house: MakeHouse) -> House:
    """A controller that was just installed: nothing is there but its set-up code."""
    return make_house()


@pytest.fixture(scope="module")
def page(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A browser in the controller's network, signed in as its first administrator, on the first steps."""
    house.state.parent.mkdir(parents=True, exist_ok=True)
    begun = house.program("init")
    assert begun.code == 0, begun
    house.serve()
    inside = tmp_path_factory.mktemp("browser") / "chromium"
    inside.write_text(f'#!/bin/sh\nexec ip netns exec {house.namespace} {shutil.which("chromium")} "$@"\n')
    inside.chmod(0o700)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=inside, args=FLAGS)
        opened = browser.new_page(locale="en-US", base_url=f"http://127.0.0.1:{PORT}")
        opened.set_default_timeout(PATIENCE_MS)
        opened.goto("/door")
        for field, text in (("setup", begun.json["code"]), ("name", "anna"), ("password", PASSWORD)):
            opened.fill(f"#{field}", text)
        opened.click("text=Begin")
        expect(opened).to_have_url(re.compile("/welcome$"))
        yield opened
        browser.close()


def step(page: Page, name: str) -> Any:
    """A step's section; its head says `done` or `to do`."""
    return page.locator(f"section#{name}")


def test_from_the_set_up_code_to_a_booted_lab(house: House, page: Page, tiny: Path) -> None:
    page.click("text=Let the doctor look at this host")
    expect(step(page, "host")).to_contain_text("Look again")

    expect(step(page, "lab")).to_contain_text("to do")
    page.fill("#lab-name", LAB)
    page.fill("#lab-network", NETWORK)
    page.click("text=Add the lab")
    expect(step(page, "lab").locator("h2")).to_contain_text("done")

    page.fill("#upload-name", "tiny")
    page.set_input_files("#upload-file", tiny)
    page.click("#upload button:has-text('Send')")
    page.wait_for_url(re.compile("at=image"))
    wait_for(lambda: house.run("image", "show", "tiny").json["published"] == 1, "the import is done", 120)
    page.goto("/welcome")
    expect(step(page, "image").locator("h2")).to_contain_text("done")

    page.fill("#profile-name", "lesson")
    page.fill("#profile-memory_mib", "128")
    page.fill("#profile-cpus", "1")
    page.click("text=Add the profile")
    expect(step(page, "profile").locator("h2")).to_contain_text("done")

    house.bridge = house.call("lab", "show", LAB)["bridge"]
    terminal = house.stranger(1, mac(1))
    terminal.lease()
    code = terminal.ask()["enrolment_code"]
    page.goto("/welcome")
    page.click("section#terminal >> text=Terminals")
    expect(page.locator("ul.cards")).to_contain_text(code)
    page.click("form.fields button:has-text('Adopt')")
    expect(page.locator("table")).to_contain_text(mac(1))
    terminal.lease()  # its kiosk asks for an address of its own now
    house.all_ready([terminal])
    _answers(house)
    page.goto("/welcome")
    expect(step(page, "terminal").locator("h2")).to_contain_text("done")
    page.goto(f"/labs/{LAB}")
    expect(page.locator("#map")).to_contain_text("tiny v1")


def test_a_profile_is_cloned_and_edited_and_its_seat_starts_with_it(house: House, page: Page) -> None:
    page.goto("/profiles/lesson")
    page.click("summary:has-text('Clone')")
    page.fill("#new_name", "exam")
    page.click("button[value=clone]")
    expect(page).to_have_url(re.compile("/profiles/exam/edit$"))
    page.fill("#field-memory_mib", "160")
    page.check("#field-active")
    page.click("button:has-text('Save')")
    expect(page.locator("main")).to_contain_text("160")

    _choose_all(page)
    page.click("text=Change the profile")
    page.select_option("#profile", "exam")
    page.click("text=What will change")
    expect(page.locator(".told-list")).to_contain_text("runs lesson until its next start")
    page.click("button:has-text('Change 1 seat')")
    assert house.guest(1)["profile"] == "lesson"
    _fresh(house, page)
    assert house.guest(1)["profile"] == "exam"
    argv = " ".join(house.processes()[house.machines()[guest(1)]])
    assert re.search(r"\b160M?\b", argv), argv


def test_a_teacher_updates_publishes_and_undoes(house: House, page: Page) -> None:
    for profile in ("exam", "lesson"):  # by default an update waits until nobody runs from the image
        page.goto(f"/profiles/{profile}/edit")
        page.select_option("#field-session_policy", "alongside")
        page.click("button:has-text('Save')")
        expect(page).to_have_url(re.compile(f"/profiles/{profile}$"))
    page.goto("/mine")
    page.click("summary:has-text('Update')")
    page.click("text=Open the session")
    wait_for(lambda: (each := house.run("admin", "show", "tiny").json) and each.get("guest_state") == "running", "the session runs", 120)
    house.keep(special(1), "lesson", "ohms law")
    told = {path: page.evaluate("path => fetch(path).then(async (answer) => [answer.status, await answer.text()])", path) for path in PAGES}
    assert {path: (status, text[-400:]) for path, (status, text) in told.items() if status != 200} == {}
    page.goto("/drafts/tiny.d1")
    page.click("summary:has-text('Publish')")
    page.fill("#note", "physics")
    page.click("button[value=publish]")
    expect(page.locator("main")).to_contain_text("publish")
    wait_for(lambda: house.call("image", "show", "tiny")["published"] == 2, "it is published", 240)
    version = house.call("version", "show", "tiny", "2")
    assert (version["note"], version["canary"]["green"]) == ("physics", True)
    page.goto("/images/tiny")
    expect(page.locator("main")).to_contain_text("v2 is published")
    page.locator("summary:has-text('How it was tried')").first.click()
    picture = page.locator("img[src*='canary.png']").first
    picture.scroll_into_view_if_needed()
    wait_for(lambda: picture.evaluate("each => each.complete && each.naturalWidth > 100"), "the canary's picture is painted", 30)
    assert house.records(guest_address(1)) == {}  # the class did not notice
    _fresh(house, page)
    assert house.records(guest_address(1)) == {"lesson": "ohms law"}

    page.goto("/mine")
    page.click("summary:has-text('Undo')")
    page.click("button[value=undo]")
    expect(page.locator("main")).to_contain_text("v1")
    assert house.call("image", "show", "tiny")["published"] == 1
    _fresh(house, page)
    assert house.records(guest_address(1)) == {}
    house.verify_clean()


def _choose_all(page: Page) -> None:
    page.goto(f"/labs/{LAB}")
    page.click("#choose-all")
    expect(page.locator("#chosen-count")).to_have_text("1")


def _fresh(house: House, page: Page) -> None:
    generation = house.guest(1)["generation"]
    _choose_all(page)
    page.click("button:has-text('Fresh machine')")
    page.click("section button[name=do][value=fresh]")
    wait_for(lambda: house.guest(1)["generation"] > generation, "a new machine is wanted", 60)
    house.all_ready()
    _answers(house)


def _answers(house: House) -> None:
    """This profile has no port to wait for: the screen is there before the network is."""

    def asked() -> bool:
        try:
            return bool(house.facts(1)["name"])
        except (OSError, ValueError):  # not there yet, or without its lease
            return False

    wait_for(asked, "the guest answers", 120)
