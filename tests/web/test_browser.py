# SPDX-License-Identifier: MIT
"""The pages in a real browser, if one is installed: the door's script signs in, the page fills itself with pictures."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labvirt.usecases import setup

from .conftest import Site
from .lab import fill

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


def test_sign_in_link_leads_to_a_page_with_pictures(serve: Callable[..., Site], tmp_path: Path) -> None:
    site = serve()
    fill(site.ports, site.engine, 4)
    assert CHROMIUM is not None
    argv = [
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"),
        *("--window-size=500,900", "--timeout=8000", "--dump-dom"),
        f"{site.url}/door#{setup.sign_in_code(site.ports)}",
    ]
    found = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=True).stdout
    assert "Sign out" in found
    assert "lab-a-04" in found
    assert site.engine.pictures >= 2
    assert re.search(r'id="live"[^>]*role="status"', found)
