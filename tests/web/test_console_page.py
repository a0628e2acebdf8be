# SPDX-License-Identifier: MIT
"""The page around a console in a real browser: its picture, its keys, its words when it ends, and nothing that its policy would stop.

LABVIRT_PICTURES=FOLDER keeps what was seen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labvirt.domain.guest import GuestState
from labvirt.web.ui.knock import COOKIE

from .conftest import Site, until
from .devtools import CHROMIUM, Chromium
from .lab import guest, put

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]

PAINTED = """(() => { const it = document.querySelector("#stage canvas"); if (!it || !it.width) return false;
  const dots = it.getContext("2d").getImageData(0, 0, it.width, it.height).data; const seen = new Set();
  for (let at = 0; at < dots.length; at += 4000) seen.add(dots[at] << 16 | dots[at + 1] << 8 | dots[at + 2]); return seen.size > 3; })()"""
WIDE = "document.documentElement.scrollWidth > innerWidth"


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Chromium, str], None]:
    folder = Path(os.environ.get("LABVIRT_PICTURES", tmp_path))
    return lambda browser, name: (folder.mkdir(exist_ok=True), browser.picture(folder / f"{name}.png"))[0]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path) as browser:
        yield browser


@pytest.fixture
def running(site: Site) -> Site:
    now = site.ports.clock.now()
    put(site.ports, site.engine, guest(1, GuestState.RUNNING, now), guest(2, GuestState.RUNNING, now))
    return site


def state(browser: Chromium) -> str:
    return str(browser.value("document.getElementById('state').textContent"))


@pytest.mark.timeout(600)
def test_a_screen(running: Site, browser: Chromium, keep: Callable[[Chromium, str], None]) -> None:
    cookie = (COOKIE, running.shell().token)
    browser.open(f"{running.url}/guests/lab-a-01/console", cookie)
    browser.until(PAINTED)
    keep(browser, "light")
    typed = running.engine.screens.typed
    browser.key("h", "KeyH", 72)
    until(lambda: typed("lab-a-01.g1") == "h", "the key came")
    browser.key("m", "KeyM", 77, modifiers=3)  # Ctrl-Alt-M: out of the guest
    assert browser.value("document.activeElement.id") == "attention"
    browser.value("document.getElementById('paste').click()")
    browser.value("document.getElementById('words').value = 'Hi! {é}'")
    browser.value("document.getElementById('words').dispatchEvent(new Event('input'))")
    assert "é" in browser.value("document.getElementById('cannot').textContent")
    browser.value("document.getElementById('type').click()")
    until(lambda: typed("lab-a-01.g1") == "hHi! {}", "the text was typed")
    browser.until("document.querySelector('#stage canvas') === document.activeElement")
    browser.look(dark=True)
    keep(browser, "dark")
    browser.look(width=390, height=844)
    browser.until("document.querySelector('#stage canvas').getBoundingClientRect().width <= 390")
    assert not browser.value(WIDE)
    keep(browser, "phone")
    browser.value("document.getElementById('look').click()")
    browser.until("!document.getElementById('mark').hidden")
    browser.until(PAINTED)
    assert browser.value("document.getElementById('attention').disabled")
    browser.key("n", "KeyN", 78)
    running.engine.publish(guest(1, GuestState.STOPPED, running.ports.clock.now()))
    browser.until("document.getElementById('ended').textContent.includes('switched off')")
    assert typed("lab-a-01.g1") == "hHi! {}"
    assert state(browser) == "Not connected"
    assert browser.value("!document.getElementById('again').hidden")
    keep(browser, "ended")
    assert browser.complaints == []


@pytest.mark.timeout(600)
def test_a_serial_line(running: Site, browser: Chromium, keep: Callable[[Chromium, str], None]) -> None:
    cookie = (COOKIE, running.shell().token)
    shown = "document.querySelector('.xterm-rows')?.textContent ?? ''"
    browser.open(f"{running.url}/guests/lab-a-02/console?kind=serial", cookie)
    browser.until(f"({shown}).includes('lab-a-02 login:')")
    for char, code, number in (("r", "KeyR", 82), ("o", "KeyO", 79)):
        browser.key(char, code, number)
    browser.until(f"({shown}).includes('login: ro')")
    keep(browser, "serial")
    browser.look(width=390, height=844, dark=True)
    browser.until("document.querySelector('.xterm-screen').getBoundingClientRect().width <= 390")
    assert not browser.value(WIDE)
    keep(browser, "serial-phone")
    assert browser.complaints == []
