# SPDX-License-Identifier: MIT
"""A backup that somebody has made by hand: every trick is refused, nothing is written beside the folder, and the plain one is taken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labvirt.archive import reading, restoring, ustar
from labvirt.errors import Conflict, InvalidInput
from labvirt.system.files import remove_tree

CONTENT = {"labvirt.db": b"database", "secrets/ca.key": b"secret " * 200, "images/tiny/v1-abc/manifest.json": b"{}"}


def told(content: dict[str, bytes], **more: Any) -> dict[str, Any]:
    members = [{"path": path, "size": len(text), "sha256": hashlib.sha256(text).hexdigest()} for path, text in content.items()]
    facts = {"labvirt": "1", "made_at": "2026-03-02T08:00:00+00:00", "made_by": "x", "drafts": [], "images": [], "members": members}
    return {"format": "labvirt-backup", "version": 1, **facts, **more}


TOLD = told(CONTENT)
DATABASE = CONTENT["labvirt.db"]


def member(name: str, text: bytes, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, text


def tar(path: Path, manifest: dict[str, Any], members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=form) as archive:
        for info, text in (member("manifest.json", json.dumps(manifest).encode()), *members):
            archive.addfile(info, io.BytesIO(text))
    return path


def plain() -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(path, text) for path, text in CONTENT.items()]


def restore(file: Path, into: Path) -> None:
    restoring.restore(file, into, lambda stage, facts: None)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(tmp_path: Path, file: Path) -> InvalidInput:
    before = listing(tmp_path)
    with pytest.raises(InvalidInput) as caught:
        restore(file, tmp_path / "state")
    assert listing(tmp_path) == before
    return caught.value


def test_a_plain_one_is_taken(tmp_path: Path) -> None:
    restore(tar(tmp_path / "b", TOLD, plain()), tmp_path / "state")
    for path, text in CONTENT.items():
        made = tmp_path / "state" / path
        assert made.read_bytes() == text
        assert made.stat().st_mode & 0o777 == (0o444 if path.startswith("images/") else 0o600)
    modes = {
        name: (tmp_path / "state" / name).stat().st_mode & 0o777 for name in ("secrets", "images", "images/tiny", "images/tiny/v1-abc")
    }
    assert modes == {"secrets": 0o700, "images": 0o700, "images/tiny": 0o755, "images/tiny/v1-abc": 0o755}
    assert listing(tmp_path)[0] == "b"
    assert not any(name.startswith(".") for name in listing(tmp_path))


PATHS = (
    "../evil",
    "/etc/evil",
    "secrets/../../evil",
    "secrets/./evil",
    "secrets//evil",
    "secrets/.evil",
    "images/../labvirt.toml",
    "runs/evil",
    "engine.sock",
    "labvirt.db-wal",
    "evil",
    "secrets",
    "secrets/",
    "secrets/a\nb",
    "secrets/é",
    "C:\\evil",
    "secrets/a\\..\\b",
    "secrets/" + "a" * 101,
    "secrets/a/b/c/d/e/f",
    "",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_elsewhere(tmp_path: Path, path: str) -> None:
    content = {**CONTENT, path: b"evil"}
    assert "manifest" in refused(tmp_path, tar(tmp_path / "b", told(content), [*plain(), member(path, b"evil")], tarfile.GNU_FORMAT)).reason
    # The same in the tar alone, with a manifest that says nothing of it.
    refused(tmp_path, tar(tmp_path / "c", TOLD, [*plain(), member(path, b"evil")], tarfile.GNU_FORMAT))


KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CONTTYPE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["secrets/ca.key", "secrets/other"])
def test_what_is_no_ordinary_file(tmp_path: Path, kind: bytes, name: str) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"untouched")
    rest = [each for each in plain() if each[0].name != name]
    refused(tmp_path, tar(tmp_path / "b", TOLD, [member(name, b"", type=kind, linkname=str(target)), *rest]))
    assert target.read_bytes() == b"untouched"


NEGATIVE: dict[str, Any] = {"path": "labvirt.db", "size": -1, "sha256": "0" * 64}
TRUTH = NEGATIVE | {"size": True}
PAX = {"path": "/etc/x"}
TRICKS: dict[str, Callable[[Path], Path]] = {
    "a link in a plain header": lambda path: tar(path, TOLD, [member("labvirt.db", DATABASE, linkname="x"), *plain()[1:]]),
    "extended headers": lambda path: tar(path, TOLD, [member("labvirt.db", DATABASE, pax_headers=PAX), *plain()[1:]], tarfile.PAX_FORMAT),
    "twice": lambda path: tar(path, TOLD, [*plain(), plain()[0]]),
    "one is missing": lambda path: tar(path, TOLD, plain()[:-1]),
    "another content": lambda path: tar(path, TOLD, [member("labvirt.db", b"databasf"), *plain()[1:]]),
    "longer": lambda path: tar(path, TOLD, [member("labvirt.db", b"database!"), *plain()[1:]]),
    "no database": lambda path: tar(path, told({"labvirt.toml": b""}), [member("labvirt.toml", b"")]),
    "named twice in the manifest": lambda path: tar(path, {**TOLD, "members": TOLD["members"] * 2}, plain()),
    "a negative size": lambda path: tar(path, {**TOLD, "members": [NEGATIVE]}, plain()),
    "a size that is a truth": lambda path: tar(path, {**TOLD, "members": [TRUTH]}, plain()),
    "a manifest of another program": lambda path: tar(path, told(CONTENT, format="other"), plain()),
    "a manifest that is a list": lambda path: tar(path, [], plain()),  # type: ignore[arg-type]
    "no manifest": lambda path: _write(path, b"".join((ustar.render(ustar.Header("labvirt.db", 0)), ustar.END))),
    "nothing": lambda path: _write(path, b""),
    "text": lambda path: _write(path, b"a backup\n" * 1000),
    "gzip of nothing": lambda path: _write(path, gzip.compress(b"")),
    "cut gzip": lambda path: _write(path, tar(path, TOLD, plain()).read_bytes()[:-30]),
    "gzip with a flipped bit": lambda path: _write(path, _flipped(tar(path, TOLD, plain()).read_bytes())),
    "something after the end": lambda path: _write(path, gzip.compress(gzip.decompress(tar(path, TOLD, plain()).read_bytes()) + b"evil")),
    "a manifest without an end": lambda path: _write(path, ustar.render(ustar.Header("manifest.json", 1 << 40)) + b"{" * 4096),
}  # fmt: skip


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks(tmp_path: Path, trick: str) -> None:
    assert "is not a backup of LabVirt, or is damaged" in refused(tmp_path, TRICKS[trick](tmp_path / "b")).reason
    restore(tar(tmp_path / "plain", TOLD, plain()), tmp_path / "state")


def test_one_of_a_newer_labvirt(tmp_path: Path) -> None:
    error = refused(tmp_path, tar(tmp_path / "b", told(CONTENT, version=2, labvirt="9.9"), plain()))
    assert "newer LabVirt (9.9)" in error.reason


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_other_bit_is_refused_or_does_not_matter(tmp_path: Path, data: st.DataObject) -> None:
    """Of the plain tar: whatever is changed, what is unpacked is what was packed, or nothing."""
    packed = gzip.decompress(tar(tmp_path / "b", TOLD, plain()).read_bytes())
    place = data.draw(st.integers(0, len(packed) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = packed[:place] + bytes([packed[place] ^ 1 << bit]) + packed[place + 1 :]
    folder = tmp_path / "unpacked"
    folder.mkdir(exist_ok=True)
    try:
        reading.unpack(_write(tmp_path / "c", changed), folder)
        assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == CONTENT
    except InvalidInput:
        pass
    finally:
        remove_tree(folder)
    assert {path.name for path in tmp_path.iterdir()} <= {"b", "c"}


@given(st.from_regex(r"[a-zA-Z0-9_/.-]{1,90}", fullmatch=True), st.integers(0, 1 << 60))
def test_a_header_comes_back(name: str, size: int) -> None:
    header = ustar.Header(name, size)
    assert ustar.parse(ustar.render(header)) == header
    info = tarfile.TarInfo.frombuf(ustar.render(header), "ascii", "strict")
    assert (info.name.rstrip("/"), info.size) == (name.rstrip("/"), size)


@pytest.mark.parametrize("there", ["file", "link", "folder"])
def test_nothing_is_restored_over_something(tmp_path: Path, there: str) -> None:
    backup = tar(tmp_path / "b", TOLD, plain())
    into = tmp_path / "state"
    if there == "file":
        into.write_bytes(b"mine")
    elif there == "link":
        into.symlink_to(tmp_path / "nowhere")
    else:
        into.mkdir()
        (into / "mine").write_bytes(b"mine")
    before = listing(tmp_path)
    with pytest.raises(Conflict):
        restore(backup, into)
    assert listing(tmp_path) == before
    if there == "folder":
        (into / "mine").unlink()
        restore(backup, into)
        assert (into / "labvirt.db").exists()
