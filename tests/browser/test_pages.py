# SPDX-License-Identifier: MIT
"""The pages in a real browser: nothing serious keeps anybody out, keys reach everything, and what is done is done."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page

from labvirt.domain.guest import GuestState
from labvirt.usecases import rooms
from tests.web.conftest import Site, until
from tests.web.lab import guest, put

from .conftest import AXE, CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

PAGES = (
    "/",
    "/labs/lab-a",
    "/labs/lab-a?edit=1",
    "/seats/lab-a-01",
    "/inbox",
    "/inbox/list",
    "/profiles",
    "/profiles/desktop",
    "/profiles/desktop/edit",
    "/profiles/+new",
    "/images",
    "/images/tiny",
    "/mine",
    "/search?q=lab",
    "/plant",
    "/welcome",
    "/jobs",
    "/hosts",
    "/settings",
    "/lab/lab-a/power",
    "/labs/lab-a/boots",
    "/labs/lab-a/pools",
    "/labs/lab-a/tell",
    "/terminal/lab-a-t01",
    "/account",
    "/people",
    "/people/anna",
    "/audit",
    "/guests/lab-a-01/console",
    "/api/v1/docs",
)


def serious(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in found["violations"] if each["impact"] in ("serious", "critical")]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", PAGES)
def test_nothing_serious_keeps_anybody_out(page: Page, lab: Site, path: str) -> None:
    themes: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 1280), ("dark", 1280), ("light", 390))
    for theme, width in themes:
        # Without motion: a button that is half way to its colour has neither contrast.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(lab.url + path)
        assert page.get_attribute("html", "data-bs-theme") == theme
        assert serious(page) == [], (theme, width)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (theme, width)


@pytest.mark.timeout(240)
def test_axe_would_find_something(page: Page, lab: Site) -> None:
    page.goto(f"{lab.url}/jobs")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/static/mark.svg\">')")
    assert any(each.startswith("image-alt") for each in serious(page))


@pytest.mark.timeout(240)
def test_the_map_is_walked_and_drawn_by_keys(page: Page, lab: Site) -> None:
    page.goto(f"{lab.url}/labs/lab-a")
    page.locator("#seat-1").focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "seat-3"
    page.keyboard.press("Shift+Space")
    assert page.locator("#chosen-count").inner_text() == "3"
    page.keyboard.press("Escape")
    assert page.locator("#chosen-count").inner_text() == "0"
    page.keyboard.press("Control+a")
    assert page.locator("#chosen-count").inner_text() == "4"
    page.locator("#edit").focus()
    page.keyboard.press("Enter")
    page.locator("#seat-4").focus()
    page.keyboard.press("ArrowDown")

    def where() -> dict[int, tuple[int, int]]:
        return {place.seat: (place.x, place.y) for each in rooms.of_lab(lab.ports, "lab-a", (1, 2, 3, 4)) for place in each.places}

    until(lambda: where()[4] == (4, 2), "the seat at its new place")
    page.keyboard.press("Escape")
    page.locator("#edit[aria-pressed=false]").wait_for()
    page.locator("#seat-4").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/seats/lab-a-04")


@pytest.mark.timeout(240)
def test_what_is_chosen_outlives_news(page: Page, lab: Site) -> None:
    page.goto(f"{lab.url}/labs/lab-a")
    page.locator("#seat-2 .pick").click()
    put(lab.ports, lab.engine, guest(1, GuestState.FAILED, lab.ports.clock.now(), reason="the disk is full"))
    page.locator("#seat-1.bad").wait_for()
    assert page.locator("#seat-2 .pick").is_checked()
    assert page.locator("#chosen-count").inner_text() == "1"
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/plan")
    assert "it runs already" in page.locator("main").inner_text()


@pytest.mark.timeout(240)
def test_ctrl_k_finds_and_goes(page: Page, lab: Site) -> None:
    page.goto(f"{lab.url}/jobs")
    page.keyboard.press("?")
    assert page.locator("#sheet").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.locator("#palette-words").fill("a-03")
    page.locator("#palette-found a", has_text="lab-a-03").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/seats/lab-a-03")
    page.keyboard.press("g")
    page.keyboard.press("t")
    page.wait_for_url("**/inbox")


@pytest.mark.timeout(240)
def test_dark_is_remembered(page: Page, lab: Site) -> None:
    page.goto(f"{lab.url}/jobs")
    page.get_by_role("button", name="Language, light and dark").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    page.goto(f"{lab.url}/profiles")
    assert page.get_attribute("html", "data-bs-theme") == "dark"


@pytest.mark.timeout(240)
def test_the_menu_of_a_phone_opens_and_closes(page: Page, lab: Site) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"{lab.url}/jobs")
    assert not page.locator("#menu").is_visible()
    page.get_by_role("button", name="Menu", exact=True).click()
    page.locator("#menu:focus-within").wait_for()
    page.keyboard.press("Escape")
    page.locator("#menu").wait_for(state="hidden")
