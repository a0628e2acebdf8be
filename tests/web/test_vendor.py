# SPDX-License-Identifier: MIT
"""What others wrote for the pages is here unchanged, and nothing else; no page asks another machine for anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labvirt.web.headers import SECURITY_HEADERS

from .vendor import LIST, OF_TESTS, VENDOR, digest, packages
from .words import TEMPLATES, UI


def changed(folder: Path, listed_in: Path) -> list[str]:
    """Files that are not as listed."""
    listed = {Path(each["folder"], name).as_posix(): told for each in packages(listed_in) for name, told in each["files"].items()}
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file() and path.name != LIST}
    return sorted(name for name in listed.keys() | there.keys() if name not in there or listed.get(name) != digest(there[name]))


@pytest.mark.parametrize("folder", [VENDOR, OF_TESTS], ids=["pages", "tests"])
def test_every_file_is_as_it_was_fetched_and_has_its_licence(folder: Path) -> None:
    assert changed(folder, folder) == []
    for each in packages(folder):
        assert each["files"], each["name"]
        assert all(each[field] for field in ("name", "version", "licence", "folder", "from"))
        assert any("licen" in name.lower() for name in each["files"]), each["name"]


@pytest.mark.parametrize("harm", ["change", "remove", "add"])
def test_a_changed_file_is_noticed(tmp_path: Path, harm: str) -> None:
    for path in VENDOR.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(VENDOR)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert changed(tmp_path, VENDOR) == []
    victim = tmp_path / "novnc" / "core" / "rfb.js"
    if harm == "change":
        victim.write_bytes(victim.read_bytes() + b" ")
    elif harm == "remove":
        victim.unlink()
    else:
        victim.with_name("more.js").write_text("")
    assert changed(tmp_path, VENDOR) == ["novnc/core/more.js" if harm == "add" else "novnc/core/rfb.js"]


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
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (VENDOR / "icons.svg").read_text()))
    named = {name for path in TEMPLATES.glob("*.html") for name in re.findall(r"\bicon\(\"([\w-]+)\"", path.read_text())}
    for path in UI.glob("*.py"):
        named |= set(re.findall(r"icon=\"([\w-]+)\"", path.read_text()))
    assert named
    assert named <= drawn
