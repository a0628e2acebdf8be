# SPDX-License-Identifier: MIT
"""Every page at two widths and in both themes: nothing is wider than the screen. `make pages` does all four and keeps the pictures, to be
looked at; the tests look at the narrowest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from labvirt.web.ui.knock import COOKIE
from tests.web.conftest import Site

from .conftest import CHROMIUM, PATIENCE_MS
from .test_pages import PAGES

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

FOLDER = os.environ.get("LABVIRT_PICTURES")
HEIGHTS = {1280: 900, 390: 844}
"""Of a desk's window, and of a phone."""
Theme = Literal["light", "dark"]
LOOKS: list[tuple[Theme, int]] = [("light", 1280), ("light", 390), ("dark", 1280), ("dark", 390)] if FOLDER else [("light", 390)]
ALONE = ("/api/v1/docs",)
"""Not one of the pages' layout: a document, whose tables are moved sideways in their own place."""


@pytest.mark.parametrize("theme, width", LOOKS)
def test_nothing_is_wider_than_the_screen(browser: Browser, lab: Site, theme: Theme, width: int) -> None:
    context = browser.new_context(locale="en-US", color_scheme=theme, viewport={"width": width, "height": HEIGHTS[width]})
    context.set_default_timeout(PATIENCE_MS)
    context.add_cookies([{"name": COOKIE, "value": lab.shell().token, "url": lab.url}])
    page = context.new_page()
    wide: dict[str, int] = {}
    for path in PAGES:
        page.goto(f"{lab.url}{path}")
        found = page.evaluate("document.documentElement.scrollWidth")
        if found > width and path not in ALONE:
            wide[path] = found
        if FOLDER:
            name = re.sub(r"\W+", "-", path).strip("-") or "first"
            page.screenshot(path=Path(FOLDER) / f"{theme}-{width}" / f"{name}.png", full_page=True)
    page.goto(f"{lab.url}/mine")
    page.evaluate("document.querySelector('main').appendChild(document.createElement('div')).style.cssText = 'width: 2000px; height: 9px'")
    assert page.evaluate("document.documentElement.scrollWidth") > width, "the control"
    context.close()
    assert wide == {}
