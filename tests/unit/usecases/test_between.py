# SPDX-License-Identifier: MIT
"""What changes between looking and acting: a second person, a file that is damaged meanwhile, a number whose folder is still there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labvirt.domain.draft import DraftState
from labvirt.domain.guest import Due, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.image import DiskChoice, chain_of
from labvirt.domain.job import JobState
from labvirt.domain.profile import SessionPolicy
from labvirt.domain.rubbish import Rubbish, RubbishKind
from labvirt.errors import Conflict, DiskError
from labvirt.usecases import emptying, garbage, images, jobs, rescue, session_start, sessions, specials
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site
from tests.unit.usecases.played import Stage, stage_of

DAY = 86400
DISKS = (DiskChoice(place=0, image="tiny", version=1),)


@pytest.fixture
def stage(site: Site, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(site, monkeypatch)


def due(site: Site, kind: RubbishKind) -> Rubbish:
    (found,) = [each for each in garbage.plan(site.ports) if each.kind is kind]
    assert found.is_due(site.clock.now())
    return found


def orphan(site: Site, number: int) -> Rubbish:
    """A version folder without an owner whose time has come."""
    site.ports.store.blank_version(virtual_bytes=1 << 20, image="tiny", number=number)
    site.well(garbage.collect(site.ports, by="the engine"))
    site.clock.go(2 * DAY)
    return due(site, RubbishKind.VERSION_FILE)


def numbers(site: Site) -> set[str]:
    return {entry.file.parent.name.partition("-")[0] for entry in site.ports.store.entries()}


def test_a_file_for_which_somebody_began_to_write_a_row_is_not_taken(site: Site) -> None:
    """Sealing, importing and flattening take up the file that an attempt before has left: garbage collection must not have it then."""
    found = orphan(site, 2)
    assert images.import_image(site.ports, "tiny", site.disk(), format="raw", by="anna").arguments["number"] == "2"
    assert emptying.take(site.ports, found) is False
    assert numbers(site) == {"v1", "v2"}
    jobs.cancel(site.ports, jobs.unfinished(site.ports)[-1], by="anna")
    assert emptying.take(site.ports, found) is True
    assert numbers(site) == {"v1"}


def test_the_file_of_a_draft_that_is_being_published_again_is_not_taken(site: Site) -> None:
    found = orphan(site, 2)
    draft = library.draft(site)
    for state, gone in ((DraftState.PUBLISHING, False), (DraftState.KEPT, True)):
        with site.ports.database.write() as work:
            work.drafts.update(replace(draft, state=state, candidate=2))
            work.commit()
        assert emptying.take(site.ports, found) is gone
    assert numbers(site) == {"v1"}


def test_a_kept_overlay_that_is_started_in_the_last_moment_stays(site: Site) -> None:
    library.kept(site, RunId("lab-a-01", 3), library.versions(site)[0], hours_ago=24 * 365)
    found = due(site, RubbishKind.KEPT)
    guest = rescue.start(site.ports, "lab-a-01.g3", by="anna")
    assert emptying.take(site.ports, found) is False
    assert [str(each.run) for each in site.ports.kept.list()] == ["lab-a-01.g3"]
    with site.ports.database.write() as work:
        specials.release(site.ports, work, guest.name)
        work.commit()
    site.move(GuestState.STOPPED, name=guest.name)
    assert emptying.take(site.ports, found) is True
    assert site.ports.kept.list() == ()


def test_a_draft_that_waits_for_its_publishing_is_not_opened_again(stage: Stage) -> None:
    draft = stage.session()
    sessions.keep(stage.ports, draft.name, by="anna")
    stage.player.look()
    job = sessions.publish(stage.ports, draft.name, by="anna")
    with pytest.raises(Conflict) as caught:
        sessions.start(stage.ports, "desk", draft=draft.name, by="ben")
    assert f"{draft.name} is being published by anna" in str(caught.value)
    assert caught.value.hint
    jobs.cancel(stage.ports, job.number, by="anna")
    assert sessions.start(stage.ports, "desk", draft=draft.name, by="ben").state is JobState.QUEUED


def test_a_candidate_that_was_damaged_since_is_not_published_by_an_override(stage: Stage) -> None:
    draft = stage.session()
    stage.trial.shut = True
    assert stage.done(sessions.publish(stage.ports, draft.name, by="anna")).state is JobState.FAILED
    file = stage.ports.store.path(stage.version(2))
    away = file.with_name("away")
    file.rename(away)
    ended = stage.done(sessions.publish(stage.ports, draft.name, by="anna", override="the class begins"))
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (JobState.FAILED, "image-damaged")
    assert (stage.published(), stage.draft(draft.name).state) == (1, DraftState.KEPT)
    away.rename(file)
    stage.well(sessions.publish(stage.ports, draft.name, by="anna", override="the class begins"))
    assert stage.published() == 2


def test_nobody_is_told_to_leave_for_a_session_that_cannot_be_opened(stage: Stage) -> None:
    site = stage.site
    with site.ports.database.write() as work:
        work.profiles.update(replace(work.profiles.one("desk"), session_policy=SessionPolicy.DRAIN, drain_seconds=60))
        names = [
            specials.take(site.ports, work, "lab-a", purpose=Purpose.CANARY, profile="desk", disks=DISKS, source="job-1").name
            for _ in range(16)
        ]
        work.commit()
    stage.player.starts = False
    client = stage.player.client(3)
    ended = stage.done(sessions.start(stage.ports, "desk", by="anna"))
    assert ended.error is not None
    assert ended.error.code == "exhausted"
    assert site.guest(client.name) == client
    assert not any("told to leave" in line for line in site.history(client.name))
    with site.ports.database.write() as work:
        specials.release(site.ports, work, names[3])
        work.commit()
    stage.player.look()
    stage.player.starts = True
    stage.well(sessions.start(stage.ports, "desk", by="anna"))
    assert any("told to leave" in line for line in site.history(client.name))


def test_whatever_ends_the_opening_nobody_is_held_up_by_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise DiskError("The disk is broken.", operation="read", subject="x")

    with monkeypatch.context() as patched:
        patched.setattr(session_start, "_until_it_runs", fails)
        ended = stage.done(sessions.start(stage.ports, "desk", by="anna"))
    assert (ended.state, stage.draft("tiny.d1").state) == (JobState.FAILED, DraftState.DISCARDED)
    assert all(guest.wish is Wish.STOPPED for guest in stage.guests())
    stage.well(sessions.start(stage.ports, "desk", by="anna"))
    assert stage.draft("tiny.d2").state is DraftState.OPEN


def take(site: Site) -> str:
    with site.ports.database.write() as work:
        guest = specials.take(site.ports, work, "lab-a", purpose=Purpose.CANARY, profile="desk", disks=DISKS, source="job-1")
        work.commit()
    return guest.name


def off(site: Site, name: str) -> None:
    site.move(GuestState.RUNNING, name=name)
    with site.ports.database.write() as work:
        specials.release(site.ports, work, name, StopHow.STOP)
        work.commit()
    site.move(GuestState.STOPPED, name=name)


def test_a_number_whose_folder_was_not_cleared_away_is_taken_last(site: Site) -> None:
    """What it had written (a rescue) is kept as what it was, and not lost to whoever has the number next."""
    known = library.versions(site)
    first = take(site)
    off(site, first)
    assert take(site) == first
    off(site, first)
    run = site.guest(first)
    assert run is not None
    assert run.run is not None
    from labvirt.contracts.disks import RunDisk

    site.ports.disks.create_run(run.run, (RunDisk(place=0, chain=chain_of(known[0], known)),), uid=None)
    names = [take(site) for _ in range(15)]
    assert names[0] == "lab-a-s02"
    assert first not in names
    assert take(site) == first


def test_mending_forgets_no_due_of_other_reasons(site: Site) -> None:
    """A client that was told to start afresh is not called off with a drain that is over."""
    guest = library.running(site)
    with site.ports.database.write() as work:
        fresh = guest.with_due(Due.FRESH, site.clock.now(), "This computer is started afresh at 10:00.")
        work.guests.update(fresh)
        work.commit()
    sessions.mend(site.ports)
    assert site.guest() == fresh
