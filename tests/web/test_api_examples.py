# SPDX-License-Identifier: MIT
"""The examples of docs/reference/api.md, as they stand there, against the real server."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from labvirt.web.ui.knock import COOKIE

from .conftest import Site

PAGE = Path(__file__).parents[2] / "docs/reference/api.md"
EXAMPLES = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.S)


def run(site: Site, example: str, token: str) -> subprocess.CompletedProcess[str]:
    """As somebody types it. He shows a browser's cookie instead of a token: the same rights by the other way in."""
    typed = example.replace("Authorization: Bearer $TOKEN", f"Cookie: {COOKIE}=$TOKEN")
    assert typed != example
    environment = {**os.environ, "CONTROLLER": site.url, "TOKEN": token}
    return subprocess.run(["sh", "-euc", typed], env=environment, capture_output=True, text=True, timeout=60)


def test_the_examples_work(site: Site) -> None:
    token = site.shell().token
    listed, made, noted, warm = (run(site, example, token) for example in EXAMPLES)
    assert (listed.returncode, '"name":"lab-a-t01"' in listed.stdout, '"next":"' in listed.stdout) == (0, True, True), listed
    assert (made.returncode, '"name":"lab-b"' in made.stdout) == (0, True), made
    assert (noted.returncode, '"note":"second floor"' in noted.stdout) == (0, True), noted
    assert (warm.returncode, '"ready":2' in warm.stdout) == (0, True), warm
    again = run(site, EXAMPLES[1], token)
    assert (again.returncode, again.stdout) == (0, made.stdout)


def test_nobody_gets_nothing(site: Site) -> None:
    for example in EXAMPLES:
        refused = run(site, example, "nobody")
        assert refused.returncode == 22
        assert '"code": "not-signed-in"' in refused.stdout


def test_what_never_comes_to_a_thread_is_a_problem_too(site: Site) -> None:
    browser = site.browser()
    large = browser.post("/api/v1/labs", content=b"x" * 70000, headers={"Content-Type": "application/json"})
    assert (large.status_code, large.headers["Content-Type"], large.json()["code"]) == (413, "application/problem+json", "too-large")
    assert browser.get("/api/v1/labs").status_code == 200
