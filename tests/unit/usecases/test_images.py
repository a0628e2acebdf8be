# SPDX-License-Identifier: MIT
"""Images: what an import, a blank disk and an export come to, also when they are cut short, and the recycle bin."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from labvirt.domain.draft import DraftState
from labvirt.domain.guest import GuestState
from labvirt.domain.image import Stage
from labvirt.domain.job import Job, JobState
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.errors import Conflict, DatabaseError, ImageDamaged, InUse, InvalidInput, NotFound
from labvirt.usecases import exports, images, imports, jobs, profiles, scrubbing, versions
from labvirt.usecases.task import Task
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def asked(site: Site, name: str = "tiny", **more: object) -> Job:
    return images.import_image(site.ports, name, site.disk(), **{"format": "raw", "by": "anna", **more})  # type: ignore[arg-type]


def begun(site: Site, job: Job) -> Task:
    """The job as whoever does it has it."""
    with site.ports.database.write() as work:
        work.jobs.update(job := work.jobs.one(job.number).begun(site.clock.now()))
        work.commit()
    return Task(site.ports, job, lambda: False)


def test_a_file_becomes_the_next_version_with_its_number_author_and_checksum(site: Site) -> None:
    source = site.disk()
    job = images.import_image(
        site.ports, "tiny", source, format="raw", by="anna", note=" new  one ", override="it is known", sha256=sha(source).upper()
    )
    assert site.engine.pokes
    assert job.arguments["number"] == "2"
    done = site.well(job)
    assert (done.result["version"], done.result["number"]) == ("tiny v2", "2")
    view = images.one(site.ports, "tiny")
    made = view.versions[1]
    assert (made.author, made.note, made.stage, view.image.published, view.image.previous) == ("anna", "new one", Stage.PUBLISHED, 2, 1)
    assert view.versions[0].stage is Stage.RETIRED
    assert view.used_bytes > 0
    assert [detail.depth for detail in view.details] == [1, 1]
    assert view.profiles == ("desk",)
    assert site.done(done) == done  # an ended job is not done again


def test_numbers_are_never_used_twice_and_a_draft_is_not_published(site: Site, tmp_path: Path) -> None:
    ports = site.ports
    bad = tmp_path / "bad.qcow2"
    bad.write_bytes(b"QFI\xfb" + b"\xff" * 600)
    failed = site.done(images.import_image(ports, "tiny", bad, format="qcow2", by="anna"))
    assert failed.state is JobState.FAILED
    site.well(asked(site, publish=False))
    assert [(v.number, v.stage) for v in images.one(ports, "tiny").versions] == [(1, Stage.PUBLISHED), (3, Stage.DRAFT)]
    for wrong in (
        {"format": "vmdk"},
        {"source": tmp_path / "absent"},
        {"source": tmp_path / ("x" * 300)},
        {"name": "../x"},
        {"sha256": "1f"},
    ):
        with pytest.raises(InvalidInput):
            images.import_image(ports, **{"name": "tiny", "source": bad, "format": "qcow2", "by": "anna", **wrong})  # type: ignore[arg-type]
    assert images.check(ports) == ()


def test_a_wrong_checksum_is_refused_and_nothing_is_left(site: Site) -> None:
    before = site.ports.store.entries()
    failed = site.done(asked(site, "fresh", sha256="0" * 64))
    assert failed.error is not None
    assert failed.error.code == "invalid-input"
    assert "not 0000" in failed.error.sentence
    assert site.ports.store.entries() == before
    with pytest.raises(NotFound):
        images.one(site.ports, "fresh")
    assert site.well(asked(site, "fresh", sha256=sha(site.disk()))).state is JobState.DONE  # the control


def test_a_file_that_changes_under_our_hands_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    source, store = site.disk(), site.ports.store
    real = type(store).import_version

    def changing(self: object, path: Path, **more: object) -> object:
        os.utime(path, ns=(1, 1))
        return real(store, path, **more)  # type: ignore[arg-type]

    before = store.entries()
    monkeypatch.setattr(type(store), "import_version", changing)
    failed = site.done(asked(site, sha256=sha(source)))
    assert failed.error is not None
    assert "changed while" in failed.error.sentence
    assert store.entries() == before
    monkeypatch.undo()
    site.well(asked(site, sha256=sha(source)))


@pytest.mark.parametrize("blank", [True, False])
def test_an_import_that_is_begun_again_makes_one_version(site: Site, monkeypatch: pytest.MonkeyPatch, blank: bool) -> None:
    job = images.blank(site.ports, "tiny", gib=0.01, by="anna") if blank else asked(site)
    deed = images.do_blank if blank else images.do_import

    class Killed(BaseException):
        """As if by kill -9: nobody cleans up."""

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:  # killed between the sealed folder and the row
        patch.setattr(imports, "_add", die)
        with pytest.raises(Killed):
            deed(site.ports, begun(site, job))
    assert len(site.ports.store.entries()) == 2
    assert len(images.one(site.ports, "tiny").versions) == 1
    assert images.one(site.ports, "tiny").orphans
    result = deed(site.ports, begun(site, job))
    assert jobs.one(site.ports, job.number).state is JobState.DONE  # in one transaction with the row
    view = images.one(site.ports, "tiny")
    assert [version.number for version in view.versions] == [1, 2]
    assert not view.orphans
    assert len(site.ports.store.entries()) == 2
    again = Task(site.ports, jobs.one(site.ports, job.number), lambda: False)
    assert deed(site.ports, again) == result  # and once more: nothing but the same answer
    assert images.one(site.ports, "tiny").versions == view.versions


def test_an_import_that_was_killed_and_then_cancelled_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked(site, "fresh")

    def away(*_: object) -> None:
        raise DatabaseError("The database is locked.")

    before = site.ports.store.entries()
    with monkeypatch.context() as patch:  # not even the cleaning works
        patch.setattr(imports, "_add", away)
        patch.setattr(type(site.ports.store), "remove", away)
        with pytest.raises(DatabaseError):
            images.do_import(site.ports, begun(site, job))
    assert site.ports.store.entries() != before
    jobs.cancel(site.ports, job.number, by="anna")
    assert site.done(job).state is JobState.CANCELLED
    assert site.ports.store.entries() == before
    assert images.orphans(site.ports) == ()


def test_a_blank_disk_is_a_draft_of_the_wanted_size(site: Site) -> None:
    site.well(images.blank(site.ports, "windows", gib=2, by="anna", note="empty"))
    view = images.one(site.ports, "windows")
    assert [(v.number, v.stage, v.virtual_bytes, v.author) for v in view.versions] == [(1, Stage.DRAFT, 2 << 30, "anna")]
    assert view.image.published is None
    for wrong in ({}, {"gib": 1.0, "bytes": 5}, {"bytes": 1000}, {"gib": 1e6}):
        with pytest.raises(InvalidInput, match="size"):
            images.blank(site.ports, "windows", by="anna", **wrong)  # type: ignore[arg-type]


def seen(file: Path, format: str) -> bytes:
    """What a guest sees, by qemu-img."""
    raw = file.with_suffix(".seen")
    subprocess.run(["qemu-img", "convert", "-f", format, "-O", "raw", str(file), str(raw)], check=True, timeout=60)
    content = raw.read_bytes()
    raw.unlink()
    return content


@pytest.mark.parametrize("format, compress", [("raw", False), ("qcow2", False), ("qcow2", True)])
def test_an_export_is_a_complete_file_with_the_versions_content(site: Site, tmp_path: Path, format: str, compress: bool) -> None:
    target = tmp_path / "out" / f"tiny.{format}"
    target.parent.mkdir()
    done = site.well(images.export(site.ports, "tiny", None, target, format=format, compress=compress, by="anna"))
    assert seen(target, format) == site.disk().read_bytes()
    assert (done.result["sha256"], int(done.result["size_bytes"])) == (sha(target), target.stat().st_size)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    with pytest.raises(InvalidInput, match="exists"):
        images.export(site.ports, "tiny", None, target, by="anna")
    with pytest.raises(InvalidInput, match="not a folder"):
        images.export(site.ports, "tiny", None, tmp_path / "nowhere" / "x", by="anna")
    with pytest.raises(NotFound):
        images.export(site.ports, "tiny", 9, tmp_path / "x", by="anna")


@pytest.mark.parametrize("at", ["before the name", "after the name"])
def test_an_export_that_is_begun_again_ends_the_same_and_knows_others_files(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    class Killed(BaseException):
        pass

    real = exports._name

    def die(hidden: Path, target: Path) -> None:
        if at == "after the name":
            real(hidden, target)
        raise Killed

    target = tmp_path / "x.raw"
    job = images.export(site.ports, "tiny", 1, target, format="raw", by="anna")
    with monkeypatch.context() as patch:
        patch.setattr(exports, "_name", die)
        with pytest.raises(Killed):
            images.do_export(site.ports, begun(site, job))
    assert target.exists() == (at == "after the name")
    done = site.well(job)
    assert (sha(target), done.result["target"]) == (done.result["sha256"], str(target))
    assert not list(tmp_path.glob(".x.raw*"))
    other = images.export(site.ports, "tiny", 1, tmp_path / "y.raw", format="raw", by="anna")
    (tmp_path / "y.raw").write_bytes(b"somebody else's")
    failed = site.done(other)
    assert failed.error is not None
    assert "exists" in failed.error.sentence
    assert (tmp_path / "y.raw").read_bytes() == b"somebody else's"


def test_what_is_used_is_not_deleted_and_all_who_use_it_are_named(site: Site) -> None:
    ports = site.ports
    library.draft(site)
    library.running(site)
    with pytest.raises(InUse) as refused:
        images.bin(ports, "tiny", by="anna")
    for who in ("the profile desk", "the guest lab-a-01, which is running", "the draft tiny.d1, which is kept"):
        assert who in refused.value.by
    site.well(asked(site, "fresh"))
    binned = images.bin(ports, "fresh", by="anna")
    assert binned.binned_at == site.clock.now()
    assert images.bin(ports, "fresh", by="bert") == binned
    assert len(site.history("fresh")) == 2
    with pytest.raises(Conflict, match="recycle bin"):
        asked(site, "fresh")
    with pytest.raises(Conflict, match="recycle bin"):
        profiles.add(ports, Profile(name="new", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="fresh"),)))
    assert images.restore(ports, "fresh", by="anna").binned_at is None
    assert images.one(ports, "fresh").image.published == 1


def test_a_flipped_bit_is_found_by_a_scrub_said_and_not_published(site: Site) -> None:
    ports = site.ports
    library.another(site, 2, stage=Stage.TESTED)
    assert site.well(scrubbing.scrub(ports, by="anna")).result["versions"] == "2"
    path = site.root / "images" / library.versions(site)[1].file
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)
    path.chmod(0o444)
    job = scrubbing.scrub(ports, "tiny", by="anna")
    assert scrubbing.scrub(ports, "tiny", by="anna") == job  # one at a time
    failed = site.done(job)
    assert failed.error is not None
    assert failed.error.code == "image-damaged"
    assert "tiny v2" in failed.error.sentence
    assert versions.one(ports, "tiny", 2).damage
    assert not versions.one(ports, "tiny", 1).damage
    assert any("found damaged" in line for line in site.history("tiny"))
    with pytest.raises(ImageDamaged):
        versions.publish(ports, "tiny", 2, by="anna")
    with pytest.raises(ImageDamaged):
        ports.store.proven((library.versions(site)[1],))
    raw[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)
    path.chmod(0o444)
    site.well(scrubbing.scrub(ports, "tiny", by="anna"))
    assert not versions.one(ports, "tiny", 2).damage
    assert versions.publish(ports, "tiny", 2, by="anna").published == 2


def test_notes_and_states_that_the_catalogue_tells(site: Site) -> None:
    images.set_note(site.ports, "tiny", " the\nclass ")
    images.set_note(site.ports, "tiny", "first", number=1)
    library.draft(site, state=DraftState.DISCARDED)
    library.running(site, state=GuestState.CONNECTED)
    (view,) = images.everything(site.ports)
    assert (view.image.note, view.versions[0].note, [d.name for d in view.drafts]) == ("the class", "first", ["tiny.d1"])
    users = {dependent.name: dependent.holds for dependent in view.details[0].users}
    assert users == {"tiny": True, "desk": True, "lab-a-01": True, "tiny.d1": False}
    assert view.details[0].used_bytes
