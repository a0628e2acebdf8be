# SPDX-License-Identifier: MIT
"""One browser for all tests of the pages, and a site that it looks at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from labvirt.usecases import people
from labvirt.web.ui.knock import COOKIE
from tests.web.conftest import Site, made, serve, site, until
from tests.web.lab import fill

__all__ = ["made", "serve", "site"]

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def lab(site: Site) -> Site:
    """Four seats in four states, two strangers in the inbox, and a person without rights."""
    people.add(site.ports, "anna")
    fill(site.ports, site.engine, 4)
    until(lambda: len(site.app.published.changes()) == 4, "all guests")
    return site


@pytest.fixture
def context(browser: Browser, lab: Site) -> Iterator[BrowserContext]:
    """Somebody who is signed in."""
    made = browser.new_context(locale="en-US")
    made.set_default_timeout(PATIENCE_MS)
    made.add_cookies([{"name": COOKIE, "value": lab.shell().token, "url": lab.url}])
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext, lab: Site) -> Iterator[Page]:
    """A page that fails the test when something is wrong on it: what the policy blocked, what a script threw, what another host was
    asked for."""
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" and "40" not in said.text else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith((lab.url, "blob:", "data:")) else None)
    yield opened
    assert wrong == []


AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
