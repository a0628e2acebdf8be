# SPDX-License-Identifier: MIT
"""Uploads: pieces in any number of goes, the checksum at the end, one import, and nothing left."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.contracts.uploads import Upload
from labvirt.disks.uploads import UploadFolder
from labvirt.domain.job import JobState
from labvirt.errors import Conflict, DiskError, Exhausted, HostNotReady, InUse, InvalidInput, NotFound
from labvirt.usecases import garbage, images, jobs, uploads
from tests.unit.usecases.conftest import Site

CONTENT = b"labvirt " * 16384
SHA = hashlib.sha256(CONTENT).hexdigest()


def begun(site: Site, **more: object) -> Upload:
    wanted = {"name": "sent", "format": "raw", "size_bytes": len(CONTENT), "by": "browser 1"} | more
    return uploads.begin(site.ports, **wanted)  # type: ignore[arg-type]


def sent(site: Site, id: str, *, at: int = 0, to: int = len(CONTENT), content: bytes = CONTENT) -> int:
    with uploads.write(site.ports, id, at) as writing:
        for start in range(at, to, 5000):
            writing.put(content[start : min(start + 5000, to)])
        return writing.sync()


def test_pieces_become_a_version_byte_for_byte(site: Site) -> None:
    upload = begun(site, sha256=SHA, note="from the office")
    assert sent(site, upload.id, to=30_000) == 30_000
    with pytest.raises(Conflict, match="ends at 30000, not at 10"):
        sent(site, upload.id, at=10)
    with pytest.raises(Conflict, match="30000 of its"):
        uploads.finish(site.ports, upload.id, by="browser 1")
    sent(site, upload.id, at=30_000)
    job = uploads.finish(site.ports, upload.id, by="browser 2")
    assert uploads.finish(site.ports, upload.id, by="browser 3") == job
    with pytest.raises(Conflict, match="imported already"):
        sent(site, upload.id, at=len(CONTENT))
    with pytest.raises(InUse):
        uploads.give_up(site.ports, upload.id)
    done = site.well(job)
    view = images.one(site.ports, "sent")
    assert (done.result["version"], view.versions[0].note, view.versions[0].author) == ("sent v1", "from the office", "browser 2")
    assert uploads.everything(site.ports) == ()
    target = site.root / "back.raw"
    site.well(images.export(site.ports, "sent", 1, target, format="raw", by="anna"))
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_is_imported(site: Site) -> None:
    upload = begun(site)
    sent(site, upload.id, content=CONTENT[:-1] + b"!")
    with pytest.raises(InvalidInput, match="must be told"):
        uploads.finish(site.ports, upload.id, by="browser 1")
    with pytest.raises(InvalidInput, match="of what arrived"):
        uploads.finish(site.ports, upload.id, sha256=SHA, by="browser 1")
    assert jobs.unfinished(site.ports) == ()
    told = begun(site, sha256=SHA)
    with pytest.raises(InvalidInput, match="another one"):
        uploads.finish(site.ports, told.id, sha256="0" * 64, by="browser 1")
    uploads.give_up(site.ports, upload.id)
    uploads.give_up(site.ports, upload.id)
    with pytest.raises(NotFound):
        uploads.one(site.ports, upload.id)
    assert uploads.one(site.ports, told.id).upload == told


def test_an_import_that_failed_leaves_the_upload_to_be_finished_again(site: Site) -> None:
    upload = begun(site, sha256=SHA)
    sent(site, upload.id)
    job = uploads.finish(site.ports, upload.id, by="browser 1")
    jobs.cancel(site.ports, job.number, by="anna")
    assert jobs.one(site.ports, job.number).state is JobState.CANCELLED
    again = uploads.finish(site.ports, upload.id, by="browser 1")
    assert again.number != job.number
    site.well(again)
    assert [version.number for version in images.one(site.ports, "sent").versions] == [2]


def test_only_so_many_and_only_what_fits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ({"format": "vmdk"}, {"name": "../x"}, {"size_bytes": 0}, {"size_bytes": 1 << 60}, {"sha256": "xyz"}):
        with pytest.raises(InvalidInput):
            begun(site, **wrong)
    with monkeypatch.context() as patch:
        patch.setattr(UploadFolder, "free_bytes", lambda self: 2 * len(CONTENT))
        first = begun(site)
        with pytest.raises(Exhausted, match="no room"):
            begun(site, size_bytes=len(CONTENT) + 1)  # the first was promised its part
    for _ in range(uploads.MOST_OPEN - 1):
        begun(site)
    with pytest.raises(Conflict, match="4 unfinished"):
        begun(site)
    begun(site, by="browser 2")
    uploads.give_up(site.ports, first.id)
    begun(site)
    with pytest.raises(HostNotReady):
        uploads.everything(replace(site.ports, uploads=None))


def test_nobody_writes_beside_another_and_not_more_than_was_told(site: Site) -> None:
    upload = begun(site)
    with uploads.write(site.ports, upload.id, 0) as writing:
        writing.put(b"abc")
        with pytest.raises(Conflict, match="somebody else"), uploads.write(site.ports, upload.id, 3):
            pass
        with pytest.raises(InUse):
            uploads.give_up(site.ports, upload.id)
        with pytest.raises(InvalidInput, match="longer"):
            writing.put(CONTENT)
    assert uploads.one(site.ports, upload.id).upload.offset == 3
    assert sent(site, upload.id, at=3) == len(CONTENT)


def test_what_could_not_be_made_durable_is_not_counted(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begun(site)
    sent(site, upload.id, to=5000)
    real = os.fsync

    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(DiskError):
            sent(site, upload.id, at=5000, to=9000)
    assert os.fsync is real
    assert uploads.one(site.ports, upload.id).upload.offset == 5000
    sent(site, upload.id, at=5000)
    site.well(uploads.finish(site.ports, upload.id, sha256=SHA, by="browser 1"))


def test_a_full_disk_is_said_and_the_upload_goes_on_afterwards(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begun(site)
    real = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if offset >= 7000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[: 7000 - offset], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(Exhausted):
            sent(site, upload.id)
    assert uploads.one(site.ports, upload.id).upload.offset == 7000
    sent(site, upload.id, at=7000)
    site.well(uploads.finish(site.ports, upload.id, sha256=SHA, by="browser 1"))


def test_names_lead_nowhere_else_and_rubbish_is_no_upload(site: Site, tmp_path: Path) -> None:
    door = UploadFolder(site.root / "uploads")
    upload = begun(site)
    outside = tmp_path / "precious"
    outside.mkdir()
    for wrong in ("../precious", "..", ".", "", "a/b", "x" * 200, "/etc"):
        assert door.get(wrong) is None
        with pytest.raises(InvalidInput):
            door.remove(wrong)
    (site.root / "uploads" / "link").symlink_to(outside)
    (site.root / "uploads" / ("0" * 32)).mkdir()
    assert [each.id for each in door.list()] == [upload.id]
    assert {name for name, _ in door.leftovers()} == {upload.id, "link", "0" * 32}
    door.remove("link")
    assert outside.is_dir()


def test_garbage_collection_takes_what_nobody_goes_on_with(site: Site) -> None:
    ports = site.ports
    old = begun(site)
    half = site.root / "uploads" / f".{'1' * 32}"
    half.mkdir()
    busy = begun(site, sha256=SHA)
    sent(site, busy.id)
    job = uploads.finish(ports, busy.id, by="browser 1")
    now = max(site.clock.now().timestamp(), half.stat().st_mtime)  # files have the time of the machine
    site.clock.go(now - site.clock.now().timestamp() + 8 * 86400)
    done = site.well(garbage.collect(ports, by="the engine"))
    assert done.result["removed"] == "2"
    assert [view.upload.id for view in uploads.everything(ports)] == [busy.id]
    assert not half.exists()
    assert old.id not in {path.name for path in (site.root / "uploads").iterdir()}
    site.well(job)
    assert list((site.root / "uploads").iterdir()) == []
