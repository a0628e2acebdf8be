# SPDX-License-Identifier: MIT
"""The front-end files of others are exactly those that vendor.json names; no page asks another machine for anything."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from labvirt.web.app import SECURITY_HEADERS

from .words import TEMPLATES, UI

FOLDERS = (UI / "static" / "vendor", Path(__file__).parents[1] / "browser" / "vendor")
FREE = {"MIT", "0BSD", "OFL-1.1", "MPL-2.0"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_every_file_is_named_with_its_checksum(folder: Path) -> None:
    told = {each["file"]: each for each in json.loads((folder / "vendor.json").read_text())}
    assert set(told) | {"vendor.json"} == {path.name for path in folder.iterdir()}
    for name, each in told.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == each["sha256"], name
        assert each["licence"] in FREE
        assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", each["version"])


def test_a_changed_file_would_be_noticed(tmp_path: Path) -> None:
    name = "htmx.min.js"
    told = next(each for each in json.loads((FOLDERS[0] / "vendor.json").read_text()) if each["file"] == name)
    changed = (FOLDERS[0] / name).read_bytes() + b" "
    assert hashlib.sha256(changed).hexdigest() != told["sha256"]


def test_no_template_has_a_script_a_style_or_another_host() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path.name
        assert not re.search(r"\son\w+=|\shx-on|\sstyle=|<style|hx-vals=['\"]js:", text), path.name
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), path.name
    for path in (UI / "static").glob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", path.read_text()), path.name
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


def test_every_icon_that_is_named_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (FOLDERS[0] / "icons.svg").read_text()))
    named = {name for path in TEMPLATES.glob("*.html") for name in re.findall(r"\bicon\(\"([\w-]+)\"", path.read_text())}
    for path in UI.glob("*.py"):
        named |= set(re.findall(r"icon=\"([\w-]+)\"", path.read_text()))
    assert named
    assert named <= drawn
