# SPDX-License-Identifier: MIT
"""The page of warm pools goes on by itself, and takes nothing out of the hands of who is typing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.pool import SpareKind
from labvirt.usecases import pools, profiles
from tests.web.conftest import Site

from .conftest import CHROMIUM
from .test_pages import serious

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
LATEST_MS = 30_000


@pytest.mark.timeout(240)
def test_what_waits_is_shown_as_it_changes_and_what_is_typed_stays(page: Page, lab: Site) -> None:
    profiles.change(lab.ports, "desktop", instant_clone=True)
    pools.put(lab.ports, "lab-a", "desktop", paused=4)
    page.goto(f"{lab.url}/labs/lab-a/pools")
    pool = page.locator("#pool-desktop")
    expect(pool.locator("summary")).to_contain_text("0 of 4 wait")
    field = page.locator("#paused-desktop")
    field.fill("9")
    lab.engine.warm = (
        PoolStatus(
            lab="lab-a",
            profile="desktop",
            waiting=((SpareKind.PAUSED, 3),),
            served=(("paused", 7),),
            holds="the host has no memory left",
            last_refill_seconds=0.42,
        ),
    )
    # Nothing is published of pools: the page looks again every five seconds, as long as Playwright would wait.
    expect(pool.locator("summary")).to_contain_text("3 of 4 wait", timeout=LATEST_MS)
    expect(page.locator("#now-paused-desktop")).to_have_text("3")
    expect(page.locator("#served-paused-desktop")).to_have_text("7")
    expect(page.locator("#holds-desktop")).to_contain_text("the host has no memory left")
    expect(page.locator("#refill-desktop")).to_contain_text("0.4 s")
    expect(field).to_have_value("9")
    expect(field).to_be_focused()
    assert serious(page) == []

    lab.engine.warm = (PoolStatus(lab="lab-a", profile="desktop", waiting=((SpareKind.PAUSED, 4),)),)
    expect(pool.locator("summary")).to_contain_text("4 of 4 wait", timeout=LATEST_MS)
    expect(page.locator("#holds-desktop")).to_have_text("")
    expect(pool).to_have_attribute("open", "")
