# SPDX-License-Identifier: MIT
"""Special guests, discs, limits of profiles, holds; and long works and chores in the engine's own process."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import Capability
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import GuestState, Purpose, StopHow
from labvirt.domain.job import JobKind, JobState
from labvirt.domain.profile import Bus, Firmware
from labvirt.engine import start as start_module
from labvirt.usecases import asking, jobs, power
from tests.engine.simulated import SimLab, lab, profile, until
from tests.engine.test_engine import all_in, clean, ports_of, row, rows, start
from tests.engine.test_kept import change, special


def open_draft(sim: SimLab, state: DraftState = DraftState.OPEN, *, guest: str | None = None) -> Draft:
    now = sim.clock.now()
    draft = Draft(
        name="tiny.d1",
        image="tiny",
        parent=1,
        pointer=1,
        profile="tiny",
        lab="lab-a",
        place=0,
        state=state,
        since=now,
        made_at=now,
        touched_at=now,
        owner="anna",
        guest=guest,
    )
    with sim.database.write() as work:
        version = work.images.version("tiny", 1)
        assert version is not None
        sim.drafts.create(draft.name, (version,))
        work.drafts.add(draft)
        work.commit()
    return draft


def test_an_admin_session_writes_its_draft_which_outlives_the_run(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), kind=profile(overlay_cap_mib=16))
    open_draft(sim)
    file = sim.root / "drafts" / "tiny.d1" / "disk.qcow2"
    with sim.engine() as engine:
        special(sim, Purpose.ADMIN, "tiny.d1")
        engine.poke()
        until(lambda: row(sim, "lab-a-s01").ready, says=lambda: row(sim, "lab-a-s01"))
        run = row(sim, "lab-a-s01").run
        assert run is not None
        spec = sim.hypervisor.specs[run]
        assert spec.drives[0].chain[0].path.samefile(file)
        assert spec.overlay_cap_bytes is None
        clean(engine)
        before = file.stat().st_size
        sim.hypervisor.write(run, 1 << 20)
        sim.hypervisor.end(run)  # a crash: it goes on with the same draft
        until(lambda: row(sim, "lab-a-s01").state is GuestState.WANTED)
        change(sim, replace(row(sim, "lab-a-s01"), failures=0))
        engine.poke()
        until(lambda: row(sim, "lab-a-s01").ready and row(sim, "lab-a-s01").run != run)
        change(sim, row(sim, "lab-a-s01").unwanted(StopHow.STOP))
        engine.poke()
        until(lambda: row(sim, "lab-a-s01").state is GuestState.STOPPED and sim.disks.runs() == ())
        assert file.stat().st_size >= before + (1 << 20)
        assert file.stat().st_nlink == 1
        assert sim.kept.list() == ()


@pytest.mark.parametrize("state", [DraftState.KEPT, DraftState.PUBLISHING, None])
def test_a_draft_that_is_not_open_is_not_written(sim: SimLab, state: DraftState | None) -> None:
    sim.furnish(lab(seats=4))
    if state is not None:
        open_draft(sim, state)
    with sim.engine() as engine:
        special(sim, Purpose.ADMIN, "tiny.d1")
        engine.poke()
        until(lambda: row(sim, "lab-a-s01").state is GuestState.FAILED)
        assert row(sim, "lab-a-s01").reason == f"its draft tiny.d1 is {state or 'gone'}"
        assert sim.hypervisor.order == []


def test_a_canary_runs_what_its_row_says_whatever_placement_would(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.database.write() as work:
        work.profiles.add(profile(name="other", position=1))
        work.commit()
    with sim.engine() as engine:
        special(sim, Purpose.CANARY, "job-7")
        engine.poke()
        until(lambda: row(sim, "lab-a-s01").ready)
        assert row(sim, "lab-a-s01").profile == "tiny"
        start(sim, engine, "lab-a-01")
        assert row(sim, "lab-a-01").profile == "other"  # the control
        assert {finding.code for finding in engine.verify()} == {"special-guest-lost"}  # there is no job 7


def test_a_disc_lies_in_the_first_drive_of_this_run_and_of_no_later_one(sim: SimLab, tmp_path: Path) -> None:
    sim.furnish(lab(seats=4), terminals=1)
    disc = tmp_path / "install.iso"
    disc.write_bytes(bytes(2048))
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        power.start(ports, "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready)
        change(sim, replace(row(sim, "lab-a-01").wanted(sim.clock.now(), fresh=True), cdrom=str(disc), boot_cdrom=True))
        engine.poke()
        until(lambda: row(sim, "lab-a-01").ready)
        run = row(sim, "lab-a-01").run
        assert run is not None
        spec = sim.hypervisor.specs[run]
        assert spec.boot_cdrom
        tray = spec.drives[-1]
        assert (tray.cdrom, tray.bus, [(layer.path, layer.format) for layer in tray.chain]) == (True, Bus.SATA, [(disc, "raw")])
        power.stop(ports, "lab-a-01", StopHow.STOP)
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        asking.ask(ports, "lab-a-pc1", None)
        until(lambda: row(sim, "lab-a-01").ready)
        run = row(sim, "lab-a-01").run
        assert run is not None
        assert not sim.hypervisor.specs[run].boot_cdrom
        assert len(sim.hypervisor.specs[run].drives) == 1


def test_a_machine_gets_what_its_profile_says_or_a_sentence(sim: SimLab) -> None:
    windows = profile(firmware=Firmware.UEFI, tpm=True, hyperv=True, extra=("device=usb-tablet",))
    sim.furnish(lab(seats=4), kind=windows)
    with sim.engine() as engine:
        until(lambda: engine.status().driver)
        run = start(sim, engine, "lab-a-01")
        spec = sim.hypervisor.specs[run]
        assert (spec.tpm, spec.hyperv, spec.extra) == (True, True, ("device=usb-tablet",))
    sim.hypervisor.able = frozenset({Capability.DISPLAY_SECRET})
    with sim.engine() as engine:
        until(lambda: engine.status().driver)
        power.start(ports_of(sim, engine), "lab-a-02")
        until(lambda: row(sim, "lab-a-02").state is GuestState.FAILED)
        assert row(sim, "lab-a-02").reason == "The driver simulated cannot do this: a TPM"


def test_no_more_guests_than_the_profile_may_have(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=4, kind=profile(max_guests=2))
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        for seat in (1, 2):
            start(sim, engine, f"lab-a-0{seat}")
        answer = asking.ask(ports, "lab-a-pc3", None).answer
        assert answer.message == "No computer can be started for this seat: the profile tiny: it has 2 guests already, and may have 2."
        power.fresh(ports, "lab-a-02")  # its own place is its own
        until(lambda: row(sim, "lab-a-02").ready)
        power.stop(ports, "lab-a-01", StopHow.STOP)
        until(lambda: row(sim, "lab-a-01").state is GuestState.STOPPED)
        asking.ask(ports, "lab-a-pc3", None)
        until(lambda: row(sim, "lab-a-03").ready)


def test_of_a_storm_no_more_are_let_through_than_the_profile_may_have(sim: SimLab) -> None:
    sim.furnish(lab(seats=8), terminals=8, kind=profile(max_guests=3))
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        askers = [threading.Thread(target=asking.ask, args=(ports, f"lab-a-pc{seat}", None)) for seat in range(1, 9)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(30)
        until(lambda: all(guest.state in (GuestState.RUNNING, GuestState.FAILED) for guest in rows(sim).values()))
        assert sum(guest.ready for guest in rows(sim).values()) == 3


def test_seats_do_not_start_while_their_image_is_being_updated(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=2)
    with sim.engine() as engine:
        ports = ports_of(sim, engine)
        living = start(sim, engine, "lab-a-01")
        open_draft(sim)
        answer = asking.ask(ports, "lab-a-pc2", None).answer
        assert "tiny is being updated by anna since " in answer.message
        assert "lab-a-02" not in rows(sim)
        assert asking.ask(ports, "lab-a-pc1", None).answer.status == "ready"
        assert row(sim, "lab-a-01").run == living


def test_profiles_start_their_first_seats_with_the_host(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), kind=profile(start_guests=2))
    with sim.engine():
        until(lambda: all_in(sim, GuestState.RUNNING, count=2))
        assert set(rows(sim)) == {"lab-a-01", "lab-a-02"}


def test_a_long_check_of_the_image_is_said(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_module, "LONG_SECONDS", 0.05)
    sim.furnish(lab(seats=4))
    gate, create = threading.Event(), sim.disks.create_run

    def slow(*arguments: object, **named: object) -> object:
        gate.wait(20)
        return create(*arguments, **named)  # type: ignore[arg-type]

    sim.disks.create_run = slow  # type: ignore[method-assign, assignment]
    with sim.engine() as engine:
        power.start(ports_of(sim, engine), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").reason == "its image is being checked")
        gate.set()
        until(lambda: row(sim, "lab-a-01").ready)
        assert row(sim, "lab-a-01").reason == ""


# --- long works


def test_jobs_are_done_here_and_those_of_a_dead_process_are_taken_up(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    quiet = ports_of(sim, None)  # type: ignore[arg-type]
    with sim.database.write() as work:
        job = jobs.enqueue_in(quiet, work, JobKind.SCRUB, "tiny", by="anna", arguments={"image": "tiny"})
        orphan = work.jobs.add(replace(job, kind=JobKind.GARBAGE, subject="recycle bin", arguments={"dry_run": "yes"}))
        work.jobs.update(orphan.begun(sim.clock.now()))  # whoever did it is dead: its lock is free
        work.commit()
    with sim.engine(jobs=True) as engine:
        until(lambda: jobs.one(quiet, orphan.number).state is JobState.DONE, says=lambda: jobs.one(quiet, orphan.number))
        assert jobs.one(quiet, orphan.number).attempts == 2
        until(lambda: jobs.one(quiet, job.number).state is JobState.DONE)
        later = jobs.enqueue(ports_of(sim, engine), JobKind.GARBAGE, "recycle bin", by="anna", arguments={"dry_run": "yes"})
        until(lambda: jobs.one(quiet, later.number).state is JobState.DONE, 4)  # by the poke, not by the slow look


def test_a_job_lets_go_when_the_engine_stops_and_is_begun_again(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    sim.furnish(lab(seats=4))
    quiet = ports_of(sim, None)  # type: ignore[arg-type]
    begun = threading.Event()

    def long(ports: object, task: object) -> dict[str, str]:
        begun.set()
        task.sleep(60.0)  # type: ignore[attr-defined]
        return {}

    monkeypatch.setattr(jobs, "deed_of", lambda kind: long)
    with sim.database.write() as work:
        job = jobs.enqueue_in(quiet, work, JobKind.SCRUB, "all images", by="anna")
        work.commit()
    with sim.engine(jobs=True):
        assert begun.wait(10)
    assert jobs.one(quiet, job.number).state is JobState.RUNNING
    monkeypatch.setattr(jobs, "deed_of", lambda kind: lambda ports, task: {"well": "yes"})
    with sim.engine(jobs=True):
        until(lambda: jobs.one(quiet, job.number).state is JobState.DONE)


def test_chores_come_by_the_clock_and_once(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    quiet = ports_of(sim, None)  # type: ignore[arg-type]
    asked = lambda: [job for job in jobs.everything(quiet) if job.kind is JobKind.GARBAGE]  # noqa: E731
    with sim.engine(jobs=True) as engine:
        until(lambda: len(asked()) == 1 and asked()[0].state is JobState.DONE, says=asked)
        assert asked()[0].asked_by == "labvirt"
        threading.Event().wait(1.0)
        assert len(asked()) == 1
        draft = open_draft(sim, DraftState.PUBLISHING)  # nobody publishes it
        until(lambda: drafts(sim)[draft.name].state is DraftState.KEPT)
        sim.limits = replace(sim.limits, idle_minutes=1)
        clean(engine)
    with sim.engine(jobs=True):
        threading.Event().wait(1.0)
        assert len(asked()) == 1


def drafts(sim: SimLab) -> dict[str, Draft]:
    with sim.database.read() as work:
        return {draft.name: draft for draft in work.drafts.list()}


# --- verify


def test_verify_names_what_does_not_agree_in_the_store(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    with sim.engine() as engine:
        found = lambda: {finding.code for finding in engine.verify()}  # noqa: E731
        clean(engine)
        (folder,) = [path for path in (sim.root / "images" / "tiny").iterdir() if path.name.startswith("v1-")]
        stray = folder.with_name("v7-0123456789ab")
        stray.mkdir()
        for file in folder.iterdir():
            (stray / file.name).write_bytes(file.read_bytes())
        assert found() == {"image-orphan"}
        with sim.database.write() as work:
            job = jobs.enqueue_in(ports_of(sim, engine), work, JobKind.IMPORT, "tiny", by="anna", arguments={"number": "7"})
            work.commit()
        assert found() == set()  # it is on its way
        with sim.database.write() as work:
            work.jobs.update(job.over(JobState.CANCELLED, sim.clock.now()))
            work.commit()
        assert found() == {"image-orphan"}
        sim.store.remove(next(entry.file for entry in sim.store.entries() if entry.file.parts[1] == stray.name))
        assert found() == set()
        start(sim, engine, "lab-a-01")
        draft = open_draft(sim, guest="lab-a-01")
        assert found() == {"draft-without-guest"}
        with sim.database.write() as work:
            work.drafts.update(replace(draft, state=DraftState.PUBLISHING, guest=None))
            work.commit()
        assert found() == {"draft-without-job"}
        sim.drafts.remove(draft.name)
        assert found() == {"draft-without-job", "draft-file-missing"}
        with sim.database.read() as work:
            version = work.images.version("tiny", 1)
        assert version is not None
        with sim.database.write() as work:
            work.drafts.remove(draft.name)
            work.commit()
        sim.drafts.create("tiny.d9", (version,))
        assert found() == {"draft-orphan"}
        sim.drafts.remove("tiny.d9")
        (sim.root / "kept" / "lab-a-02.g1").mkdir()
        assert found() == {"kept-without-record"}
