# SPDX-License-Identifier: MIT
"""What others wrote for the pages is here unchanged: every file is listed with its checksum, and nothing else lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from .vendor import LIST, VENDOR, digest, packages


def changed(folder: Path) -> list[str]:
    """Files that are not as listed."""
    listed = {f"{each['folder']}/{name}": told for each in packages() for name, told in each["files"].items()}
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file() and path.name != LIST.name}
    return sorted(name for name in listed.keys() | there.keys() if name not in there or listed.get(name) != digest(there[name]))


def test_every_file_is_as_its_authors_published_it(tmp_path: Path) -> None:
    assert changed(VENDOR) == []
    for each in packages():
        assert each["files"], each["name"]
        assert all(each[field] for field in ("name", "version", "licence", "folder"))
        assert any("LICENSE" in name for name in each["files"]), each["name"]


@pytest.mark.parametrize("harm", ["change", "remove", "add"])
def test_a_changed_file_is_noticed(tmp_path: Path, harm: str) -> None:
    for path in VENDOR.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(VENDOR)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    assert changed(tmp_path) == []
    victim = tmp_path / "novnc" / "core" / "rfb.js"
    if harm == "change":
        victim.write_bytes(victim.read_bytes() + b" ")
    elif harm == "remove":
        victim.unlink()
    else:
        victim.with_name("more.js").write_text("")
    assert changed(tmp_path) == ["novnc/core/more.js" if harm == "add" else "novnc/core/rfb.js"]
