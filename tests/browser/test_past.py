# SPDX-License-Identifier: MIT
"""The host's last hours as lines, in a real browser."""

from __future__ import annotations

from datetime import timedelta
from math import sin

import pytest
from playwright.sync_api import Page

from labvirt.domain.host import HostLoad
from labvirt.web.past import Sample
from tests.web.conftest import Site

from .conftest import CHROMIUM
from .test_pages import serious

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


def remember(lab: Site, minutes: int) -> None:
    """So many readings until now, and ten minutes of nothing in their middle."""
    now = lab.ports.clock.now()
    for minute in range(minutes):
        free = int(9000 + 5000 * sin(minute / 30))
        load = HostLoad(
            memory_total_mib=16000, memory_available_mib=free, cpus=8, disk_free_mib=90000, cpu_pressure=4 + 3 * sin(minute / 7)
        )
        known = not minutes // 2 <= minute < minutes // 2 + 10
        at = now - timedelta(minutes=minutes - minute)
        lab.app.past._samples.append(Sample(at=at, load=load if known else None, guests=minute // 30 if known else None))


@pytest.mark.timeout(240)
def test_nothing_serious_keeps_anybody_out_of_the_last_hours(page: Page, lab: Site) -> None:
    remember(lab, 300)
    for theme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{lab.url}/hosts")
        assert page.get_by_role("img", name="Memory in use since").count() == 1
        assert page.locator(".spark polyline").count() == 6  # three lines, each with a gap
        assert serious(page) == [], (theme, width)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (theme, width)
        box = page.locator(".spark").first.bounding_box()
        assert box is not None
        assert box["width"] > 150
