# SPDX-License-Identifier: MIT
"""The published pointer and the way back, what may be published, and flattening."""

from __future__ import annotations

import subprocess

import pytest

from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.image import Stage, chain_of
from labvirt.domain.job import JobKind, JobState
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.errors import Conflict, ImageDamaged, InUse, InvalidInput, NotFound
from labvirt.usecases import flattening, images, profiles, versions
from labvirt.usecases.task import Task
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site


def looked_at(site: Site, number: int, *, ok: bool) -> None:
    steps = (CanaryStep(name="it gets its lease", ok=ok, said="" if ok else "none came"),)
    with site.ports.database.write() as work:
        work.canaries.put(Canary(image="tiny", version=number, profile="desk", at=site.clock.now(), seconds=1, steps=steps))
        work.commit()


def test_only_what_somebody_has_looked_at_is_published(site: Site) -> None:
    ports = site.ports
    library.another(site, 2)
    with pytest.raises(Conflict, match="never tested") as refused:
        versions.publish(ports, "tiny", 2, by="anna")
    assert "--override" in refused.value.hint
    looked_at(site, 2, ok=False)
    with pytest.raises(Conflict, match="none came"):
        versions.publish(ports, "tiny", 2, by="anna")
    assert versions.publish(ports, "tiny", 2, by="anna", override="the exam\nis now").published == 2
    assert any("although its canary was red" in line and "the exam is now" in line and "anna" in line for line in site.history("tiny"))
    assert versions.publish(ports, "tiny", 1, by="anna").published == 1  # it was published before
    library.another(site, 3, stage=Stage.TESTED)
    library.another(site, 4)
    looked_at(site, 4, ok=True)
    for number in (3, 4):
        image = versions.publish(ports, "tiny", number, by="anna")
        assert image.published == number
    assert (image.previous, [v.stage for v in library.versions(site)]) == (3, [*[Stage.RETIRED] * 3, Stage.PUBLISHED])
    lines = len(site.history("tiny"))
    assert versions.publish(ports, "tiny", 4, by="bert").published == 4
    assert len(site.history("tiny")) == lines
    with pytest.raises(NotFound, match="tiny:9"):
        versions.publish(ports, "tiny", 9, by="anna", override="x")


def test_a_tested_version_whose_last_canary_is_red_is_not_published(site: Site) -> None:
    library.another(site, 2, stage=Stage.TESTED)
    looked_at(site, 2, ok=False)
    with pytest.raises(Conflict, match="red"):
        versions.publish(site.ports, "tiny", 2, by="anna")
    looked_at(site, 2, ok=True)
    assert versions.publish(site.ports, "tiny", 2, by="anna").published == 2


def test_undo_is_one_pointer_and_goes_back_and_forth(site: Site) -> None:
    ports = site.ports
    with pytest.raises(Conflict, match="nothing to go back to"):
        versions.rollback(ports, "tiny", by="anna")
    library.another(site, 2, stage=Stage.TESTED)
    versions.publish(ports, "tiny", 2, by="anna")
    assert (versions.rollback(ports, "tiny", by="bert").published, images.one(ports, "tiny").image.previous) == (1, 2)
    assert versions.rollback(ports, "tiny", by="bert").published == 2
    assert [version.stage for version in library.versions(site)] == [Stage.RETIRED, Stage.PUBLISHED]
    versions.bin(ports, "tiny", 1, by="anna")
    with pytest.raises(Conflict, match="recycle bin"):
        versions.rollback(ports, "tiny", by="anna")
    versions.restore(ports, "tiny", 1, by="anna")
    assert versions.rollback(ports, "tiny", by="anna").published == 1


def test_a_version_whose_file_is_not_what_it_should_be_is_not_published(site: Site) -> None:
    version = library.another(site, 2, stage=Stage.TESTED)
    file = site.root / "images" / version.file
    file.rename(file.with_name("away"))
    with pytest.raises(ImageDamaged):
        versions.publish(site.ports, "tiny", 2, by="anna")
    file.with_name("away").rename(file)
    assert versions.publish(site.ports, "tiny", 2, by="anna").published == 2


def test_who_needs_a_version_keeps_it_out_of_the_bin(site: Site) -> None:
    ports = site.ports
    library.layer(site, 2, 1)
    library.layer(site, 3, 2)
    library.draft(site, parent=3)
    profiles.add(ports, Profile(name="pinned", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny", version=2),)))
    for number, who in ((1, "the profile desk"), (2, "the profile pinned"), (2, "tiny v3, whose file"), (3, "the draft tiny.d1")):
        with pytest.raises(InUse, match=who):
            versions.bin(ports, "tiny", number, by="anna")
    library.another(site, 4)
    assert versions.bin(ports, "tiny", 4, by="anna").binned_at is not None
    with pytest.raises(Conflict, match="recycle bin"):
        profiles.change(ports, "pinned", slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny", version=4),))
    assert versions.restore(ports, "tiny", 4, by="anna").binned_at is None
    profiles.change(ports, "pinned", slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny", version=4),))


def test_what_comes_out_of_the_bin_brings_what_it_stands_on(site: Site) -> None:
    ports = site.ports
    library.another(site, 2, publish=True)
    library.layer(site, 3, 1)
    versions.bin(ports, "tiny", 3, by="anna")
    versions.bin(ports, "tiny", 1, by="anna")  # what stands on it is in the bin too
    versions.restore(ports, "tiny", 3, by="anna")
    assert [version.binned_at for version in library.versions(site)] == [None, None, None]


def test_a_flattened_version_is_complete_and_shows_the_same(site: Site) -> None:
    ports = site.ports
    library.layer(site, 2, 1)
    top = library.layer(site, 3, 2)
    library.draft(site, parent=3)
    job = versions.flatten(ports, "tiny", 3, by="anna")
    assert versions.flatten(ports, "tiny", 3, by="bert") == job
    old = library.versions(site)[2]
    assert site.well(job).result["changed"] == "yes"
    new = library.versions(site)[2]
    assert (new.backing, old.backing, new.virtual_bytes, new.parent) == (None, 2, old.virtual_bytes, 2)
    raw = site.root / "flat.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", site.root / "images" / new.file, raw], check=True, timeout=60)
    assert raw.read_bytes() == site.disk().read_bytes()
    assert top.file in {entry.file for entry in images.orphans(ports)}  # until nobody stands on it
    assert site.well(versions.flatten(ports, "tiny", 3, by="anna")).result["changed"] == "no"
    # A draft that began on the layer can still be sealed over the flattened one.
    assert ports.store.seal("tiny.d1", chain_of(new, library.versions(site)), number=4).backing == 3


def test_flattening_cut_short_ends_the_same_and_never_undoes_another(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = site.ports
    library.layer(site, 2, 1)
    job = versions.flatten(ports, "tiny", 2, by="anna")
    with ports.database.write() as work:
        work.jobs.update(job.begun(site.clock.now()))
        work.commit()
    store = type(ports.store)
    real = store.flatten

    class Killed(BaseException):
        pass

    def die(self: object, *args: object, **more: object) -> None:
        real(self, *args, **more)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store, "flatten", die)
        with pytest.raises(Killed):
            flattening.do_flatten(ports, Task(ports, job, lambda: False))
    assert library.versions(site)[1].backing == 1
    done = site.well(job)
    assert library.versions(site)[1].sha256 == done.result["sha256"]
    assert len([entry for entry in ports.store.entries() if entry.file.parent.name.startswith("v2-")]) == 2


def test_published_versions_that_stand_on_too_many_files_are_named(site: Site) -> None:
    for number in range(2, 7):
        library.layer(site, number, number - 1)
    with site.ports.database.read() as work:
        assert flattening.deep(site.ports, work) == ()
    versions.publish(site.ports, "tiny", 6, by="anna", override="x")
    with site.ports.database.read() as work:
        assert [version.number for version in flattening.deep(site.ports, work)] == [6]
    assert [view.depth for view in versions.of(site.ports, "tiny")] == [1, 2, 3, 4, 5, 6]


def test_a_canary_is_asked_for_with_a_profile_that_uses_the_image(site: Site) -> None:
    job = versions.test(site.ports, "tiny", 1, by="anna")
    assert (job.kind, job.state, job.subject) == (JobKind.CANARY, JobState.QUEUED, "tiny v1")
    assert dict(job.arguments) == {"image": "tiny", "number": "1", "profile": "desk", "lab": "lab-a"}
    library.another(site, 1, image="other")
    with pytest.raises(Conflict, match="No profile"):
        versions.test(site.ports, "other", 1, by="anna")
    with pytest.raises(InvalidInput, match="no disk"):
        versions.test(site.ports, "other", 1, profile="desk", by="anna")
