# SPDX-License-Identifier: MIT
"""Guests as instant clones, as the engine does it: built by itself, chosen, refused, and always with a cold start behind. Over the fake's
templates; real QEMU: tests/system/test_instant_clones.py."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import HypervisorInfo
from labvirt.domain.guest import Guest, GuestState, Purpose, RunId, StopHow
from labvirt.domain.job import JobKind, JobState
from labvirt.domain.profile import Profile
from labvirt.domain.template import Ground, TemplateName
from labvirt.engine.main import Engine
from labvirt.engine.templates import UNKNOWN
from labvirt.errors import Conflict, InUse, NotFound
from labvirt.hypervisors.fake import FakeHypervisor
from labvirt.usecases import garbage, jobs, power, profiles, templates
from tests.engine.simulated import SimLab, lab, profile, until

CLONES = replace(profile(), instant_clone=True)


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimLab]:
    made = SimLab(tmp_path)
    made.limits = replace(made.limits, template_settle_seconds=0.2, template_seconds=20)
    made.hypervisor = FakeHypervisor(tmp_path / "fake" / "hypervisor.json", templates=tmp_path / "templates")  # type: ignore[assignment]
    yield made
    made.close()


def guest(sim: SimLab, name: str) -> Guest:
    with sim.database.read() as work:
        return work.guests.one(name)


def started(sim: SimLab, engine: Engine, name: str, *, fresh: bool = False) -> Guest:
    """The guest runs, by a person's wish."""
    before = None
    with sim.database.read() as work:
        row = work.guests.get(name)
        before = row.run if row else None
    (power.fresh if fresh else power.start)(sim.ports(engine), name)
    until(lambda: guest(sim, name).ready and guest(sim, name).run != before, says=lambda: guest(sim, name))
    return guest(sim, name)


def has_template(sim: SimLab, engine: Engine, name: str) -> None:
    until(lambda: name in [str(each.template.name) for each in engine.templates().kept], says=lambda: (engine.templates(), log(sim)))


def log(sim: SimLab) -> list[object]:
    with sim.database.read() as work:
        return [(job, work.jobs.lines(job.number)) for job in work.jobs.list() if job.kind is JobKind.TEMPLATE]


def opted(sim: SimLab, kind: Profile = CLONES) -> None:
    sim.furnish(lab(), kind=kind, terminals=3)


def test_who_asks_an_engine_that_has_just_begun_waits_for_its_first_look(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    opted(sim)
    look, asked, may = sim.hypervisor.capabilities, threading.Event(), threading.Event()

    def slow() -> HypervisorInfo:
        asked.set()
        assert may.wait(20)
        return look()

    monkeypatch.setattr(sim.hypervisor, "capabilities", slow)
    with sim.engine() as engine:
        assert asked.wait(20)
        assert engine._templates.report().problem == UNKNOWN  # what it would say
        threading.Timer(0.3, may.set).start()
        assert templates.build(sim.ports(engine), "tiny", by="somebody").kind is JobKind.TEMPLATE


def test_a_profile_that_wants_clones_gets_its_template_and_seats_start_from_it(sim: SimLab) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
        until(lambda: not [each for each in sim.hypervisor.running() if each.run.guest != "lab-a-01"])
        row = started(sim, engine, "lab-a-01")
        assert row.origin == "clone of tiny.t1"
        overlay = sim.root / "runs" / str(row.run) / "overlay-0.qcow2"
        assert b"templates/tiny.t1/disk-0.qcow2" in overlay.read_bytes()[:4096]
        report = templates.of_profile(sim.ports(engine), "tiny")
        assert (report.missing, report.problem, report.kept[0].stale) == ((), "", "")
        assert report.kept[0].users == (str(row.run),)
        assert report.kept[0].disk_bytes > 0
        # The builder's guest is off and nothing of it lies about.
        with sim.database.read() as work:
            builder = next(each for each in work.guests.list() if each.purpose is Purpose.TEMPLATE)
            assert builder.state is GuestState.STOPPED
            assert [job.state for job in work.jobs.list() if job.kind is JobKind.TEMPLATE] == [JobState.DONE]
        until(lambda: builder.run not in [each.run for each in sim.disks.runs()])
        assert not [each for each in engine.verify() if "template" in each.sentence]


def test_who_does_not_opt_in_boots_and_has_no_template(sim: SimLab) -> None:
    opted(sim, profile())
    with sim.engine(jobs=True) as engine:
        assert started(sim, engine, "lab-a-01").origin == "boot"
        assert engine.templates().missing == ()
        with pytest.raises(Conflict, match="does not want instant clones"):
            templates.build(sim.ports(engine), "tiny", by="anna")
        profiles.change(sim.ports(engine), "tiny", instant_clone=True)
        assert templates.build(sim.ports(engine), "tiny", by="anna").kind is JobKind.TEMPLATE
        has_template(sim, engine, "tiny.t1")


def test_before_there_is_one_it_boots_and_says_why(sim: SimLab) -> None:
    opted(sim)
    with sim.engine() as engine:  # nobody builds
        assert started(sim, engine, "lab-a-01").origin == "boot: its template is not made yet"
        assert [wish.profile for wish in engine.templates().missing] == ["tiny"]


@pytest.mark.parametrize("damage", ["gone", "truncated", "changed", "no manifest"])
def test_a_damaged_template_is_found_out_and_the_guest_boots(sim: SimLab, damage: str) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
    place = sim.root / "templates" / "tiny.t1"
    with sim.engine() as engine:
        assert started(sim, engine, "lab-a-01").origin == "clone of tiny.t1"  # the control
        match damage:
            case "gone":
                place.rename(sim.root / "elsewhere")
            case "no manifest":
                (place / "manifest.json").unlink()
            case "truncated":
                (place / "ram").chmod(0o600)
                (place / "ram").write_bytes((place / "ram").read_bytes()[:4096])
            case _:
                (place / "ram").chmod(0o600)
                content = bytearray((place / "ram").read_bytes())
                content[100] ^= 1
                (place / "ram").write_bytes(content)
        row = started(sim, engine, "lab-a-02")
        assert row.origin.startswith("boot: "), row
        assert "tiny.t1" in row.origin
        assert started(sim, engine, "lab-a-03").origin.startswith("boot: ")


def test_a_template_that_has_lost_its_manifest_is_cleared_away_when_nobody_stands_on_it(sim: SimLab) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
        assert started(sim, engine, "lab-a-01").origin == "clone of tiny.t1"
    place = sim.root / "templates" / "tiny.t1"
    (place / "manifest.json").unlink()
    with sim.engine() as engine:  # it was not there when this one began to look
        assert engine.templates().kept == ()
        assert place.exists()  # a clone stands on it
        power.stop(sim.ports(engine), "lab-a-01", StopHow.KILL)
        until(lambda: not engine.templates().kept and not place.exists(), says=lambda: guest(sim, "lab-a-01"))


def test_a_new_version_gets_a_new_template_and_the_old_one_goes_with_its_last_clone(sim: SimLab) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
        old = started(sim, engine, "lab-a-01")
        profiles.change(sim.ports(engine), "tiny", memory_mib=80)
        has_template(sim, engine, "tiny.t2")
        first = next(each for each in engine.templates().kept if each.template.name == TemplateName("tiny", 1))
        assert first.stale == "the machine of its profile has changed since it was made"
        assert first.users == (str(old.run),)
        with pytest.raises(InUse, match=str(old.run)):
            engine.remove_template("tiny.t1")
        assert started(sim, engine, "lab-a-01", fresh=True).origin == "clone of tiny.t2"
        for kept in sim.kept.list():
            sim.kept.remove(kept.run)
        until(lambda: [str(each.template.name) for each in engine.templates().kept] == ["tiny.t2"], says=engine.templates)


def test_what_a_clone_had_written_is_kept_with_its_template_and_rescued_over_it(sim: SimLab) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
        row = started(sim, engine, "lab-a-01")
        assert row.run is not None
        path = sim.root / "runs" / str(row.run) / "overlay-0.qcow2"
        with path.open("r+b") as file:  # a written cluster: its L1 table is not empty any more
            from labvirt.disks.qcow2_header import parse

            file.seek(parse(path.read_bytes()[:4096]).l1_offset)
            file.write(b"\0\0\0\0\0\1\0\0")
        started(sim, engine, "lab-a-01", fresh=True)
        until(lambda: [each.run for each in sim.kept.list()] == [row.run])
        layers = dict(sim.kept.layers(row.run))[0]
        assert [layer.path.parent.name.partition("-")[0] for layer in layers] == ["lab", "tiny.t1", "v1"]
        report = engine.templates()
        assert f"kept {row.run}" in report.kept[0].users
        names = [each.name for each in garbage.dependents(sim.ports(engine), "tiny", 1)]
        assert "template tiny.t1" in names


def test_a_build_that_fails_is_not_tried_again_and_again(sim: SimLab) -> None:
    opted(sim)
    sim.limits = replace(sim.limits, template_settle_seconds=1000, template_seconds=1)
    with sim.engine(jobs=True) as engine:

        def states() -> list[JobState]:
            with sim.database.read() as work:
                return [job.state for job in work.jobs.list() if job.kind is JobKind.TEMPLATE]

        until(lambda: states() == [JobState.FAILED], says=lambda: log(sim))
        for _ in range(3):
            templates.keep(sim.ports(engine))
        assert len(states()) == 1
        job = templates.build(sim.ports(engine), "tiny", by="anna")  # a person may
        until(lambda: jobs.one(sim.ports(engine), job.number).state is JobState.FAILED)
        error = jobs.one(sim.ports(engine), job.number).error
        assert error is not None
        assert "not ready after 1 s" in error.sentence
        with sim.database.read() as work:
            assert all(each.purpose is not Purpose.TEMPLATE or each.wish.value == "stopped" for each in work.guests.list())


def test_only_a_builders_guest_is_frozen(sim: SimLab) -> None:
    opted(sim)
    with sim.engine() as engine:
        row = started(sim, engine, "lab-a-01")
        with pytest.raises(Conflict, match="is somebody's"):
            engine.freeze("lab-a-01", "tiny.t9")
        with pytest.raises(NotFound):
            engine.freeze("lab-a-99", "tiny.t9")
        assert guest(sim, "lab-a-01").run == row.run
        assert RunId("lab-a-01", 1) in [each.run for each in sim.hypervisor.running()]


def test_a_build_whose_engine_went_away_is_begun_again_with_another_guest(sim: SimLab) -> None:
    opted(sim)
    sim.limits = replace(sim.limits, template_settle_seconds=1000, template_seconds=1000)

    def builders() -> list[Guest]:
        with sim.database.read() as work:
            return [each for each in work.guests.list() if each.purpose is Purpose.TEMPLATE]

    with sim.engine(jobs=True):
        until(lambda: [each.ready for each in builders()] == [True])
        first = builders()[0]
    assert sim.hypervisor.running()[0].run == first.run  # guests outlive the engine, this one too
    sim.limits = replace(sim.limits, template_settle_seconds=0.2)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t2")  # the number of the first is not used again
        until(lambda: not sim.hypervisor.running())
        until(lambda: not sim.disks.runs(), says=sim.disks.runs)
        assert [each.state for each in builders()] == [GuestState.STOPPED] * len(builders())
        with sim.database.read() as work:
            assert [job.state for job in work.jobs.list() if job.kind is JobKind.TEMPLATE] == [JobState.DONE]  # the same job
        assert not list((sim.root / "templates" / ".stage").glob("tiny*"))


def test_a_template_of_another_qemu_serves_nobody(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
    other = Ground(hypervisor="fake 2", accelerator="fake")
    monkeypatch.setattr(type(sim.hypervisor.templates()), "ground", lambda self: other)
    with sim.engine() as engine:
        row = started(sim, engine, "lab-a-01")
        assert row.origin == ("boot: a new template is being made, because of tiny.t1: it was made by fake 1, and this host has fake 2 now")
        assert engine.templates().missing
    with sim.engine(jobs=True) as engine:
        until(lambda: [str(each.template.name) for each in engine.templates().kept] == ["tiny.t2"], says=engine.templates)
        assert started(sim, engine, "lab-a-01", fresh=True).origin == "clone of tiny.t2"


def test_a_clone_gives_its_place_to_the_next_as_soon_as_it_runs_and_a_boot_keeps_it_until_its_lease(sim: SimLab) -> None:
    opted(sim)
    with sim.engine(jobs=True) as engine:
        has_template(sim, engine, "tiny.t1")
    sim.settings = replace(sim.settings, starts_at_once=1, settle_seconds=3600)
    with sim.engine(jobs=True) as engine:  # nobody ever gets a lease
        for seat in ("lab-a-01", "lab-a-02", "lab-a-03"):
            assert started(sim, engine, seat).origin == "clone of tiny.t1"
        profiles.change(sim.ports(engine), "tiny", instant_clone=False)
        assert started(sim, engine, "lab-a-01", fresh=True).origin == "boot"
        power.fresh(sim.ports(engine), "lab-a-02")
        power.fresh(sim.ports(engine), "lab-a-03")
        until(lambda: "place" in guest(sim, "lab-a-03").reason, says=lambda: guest(sim, "lab-a-03"))
