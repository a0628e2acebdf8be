# SPDX-License-Identifier: MIT
"""The page of the settings: who may see it, what it says of each value's origin, what its forms do and refuse."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labvirt.usecases import settings
from labvirt.usecases.settings import Level, Scope

from .conftest import Site

LAB = Level(scope=Scope.LAB, subject="lab-a")
TERMINAL = Level(scope=Scope.TERMINAL, subject="lab-a-t01")


def test_only_who_is_signed_in_sees_and_changes(site: Site) -> None:
    told = {"level": "site", "key": "language", "value": "es", "do": "set"}
    assert site.client().get("/settings").status_code == 401
    assert site.client().post("/settings", data=told).status_code == 401
    assert site.browser().post("/settings", data=told, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert settings.show(site.ports, Level()).own == frozenset()
    assert site.browser().get("/settings").status_code == 200
    assert site.browser().post("/settings", data=told, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    assert settings.show(site.ports, Level()).own == {"language"}


def test_each_value_says_where_it_comes_from_and_can_be_set_and_unset_on_its_level(site: Site) -> None:
    browser = site.browser()
    settings.change(site.ports, LAB, "resolution", "1280x720")
    page = browser.get("/settings", params={"level": "terminal:lab-a-t01"}).text
    assert "Settings of the terminal lab-a-t01" in page
    assert "<strong>1280x720</strong>" in page
    assert "from lab lab-a" in page
    assert ">Unset<" not in page
    done = browser.post("/settings", data={"level": "terminal:lab-a-t01", "key": "resolution", "value": "1024x768", "do": "set"})
    assert done.status_code == 303
    page = browser.get(done.headers["location"].partition("#")[0]).text
    assert "<strong>1024x768</strong>" in page
    assert "from here, just changed" in page
    assert ">Unset<" in page
    browser.post("/settings", data={"level": "terminal:lab-a-t01", "key": "resolution", "do": "unset"})
    assert {each.setting.key: each.value for each in settings.show(site.ports, TERMINAL).effective}["resolution"] == "1280x720"


def test_a_wrong_value_is_said_at_its_place_and_nothing_is_written(site: Site) -> None:
    browser = site.browser()
    refused = browser.post("/settings", data={"level": "site", "key": "resolution", "value": '"><b>wide', "do": "set"})
    assert refused.status_code == 400
    assert "<b>" not in refused.text.replace("<body>", "")
    assert 'aria-invalid="true"' in refused.text
    assert "Allowed: auto, or WIDTHxHEIGHT" in refused.text
    assert settings.show(site.ports, Level()).own == frozenset()
    assert browser.get("/settings", params={"level": "lab:nowhere"}).status_code == 404
    for level in ("moon", "site:x", "lab:", ""):
        assert browser.get("/settings", params={"level": level}).status_code == 400
    assert browser.get("/settings", params={"level": "lab:lab-a"}).status_code == 200


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [1280, 500])  # Chromium's own window is never narrower than 500
def test_nothing_of_the_page_is_wider_than_the_window(serve: Callable[..., Site], tmp_path: Path, width: int) -> None:
    """The page as a file with its sheet in it, so that no sign-in is in the way; its script only measures."""
    site = serve()
    page = site.browser().get("/settings", params={"level": "lab:lab-a"}).text
    sheet = "".join(site.client().get(f"/static/{name}").text for name in ("vendor/tabler.min.css", "labvirt.css", "map.css"))
    measure = "document.title = document.documentElement.scrollWidth + ' of ' + window.innerWidth"
    file = tmp_path / "page.html"
    file.write_text(page.replace("</head>", f"<style>{sheet}</style></head>").replace("</body>", f"<script>{measure}</script></body>"))
    argv = [
        *(str(shutil.which("chromium")), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--timeout=8000", "--dump-dom", f"file://{file}"),
    ]
    found = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=True).stdout
    title = found.partition("<title>")[2].partition("</title>")[0]
    wide, _, window = title.partition(" of ")
    assert int(wide) <= int(window)
