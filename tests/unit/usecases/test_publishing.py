# SPDX-License-Identifier: MIT
"""Publishing: the pointer moves once, at the end, or not at all; whatever fails, the draft and what was sealed of it stay."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from labvirt.domain.canary import CanaryStep
from labvirt.domain.draft import DraftState
from labvirt.domain.guest import GuestState, Wish
from labvirt.domain.image import Stage as VersionStage
from labvirt.domain.job import Job, JobState
from labvirt.errors import Conflict, DiskError
from labvirt.usecases import jobs, sessions, versions
from labvirt.usecases.task import Task
from tests.unit.usecases.conftest import Site
from tests.unit.usecases.played import Stage, picture, stage_of


@pytest.fixture
def stage(site: Site, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_of(site, monkeypatch)


def test_a_session_becomes_the_published_version(stage: Stage) -> None:
    draft = stage.session()
    job = stage.well(sessions.publish(stage.ports, "tiny", by="anna", note="new compiler"))
    assert job.result == {"draft": draft.name, "image": "tiny", "number": "2", "version": "tiny v2"}
    version = stage.version(2)
    assert (stage.published(), version.stage, version.parent, version.author, version.note) == (
        2,
        VersionStage.PUBLISHED,
        1,
        "anna",
        "new compiler",
    )
    assert stage.version(1).stage is VersionStage.RETIRED
    after = stage.draft(draft.name)
    assert (after.state, after.candidate, after.guest) == (DraftState.PUBLISHED, 2, None)
    assert all(guest.wish is Wish.STOPPED for guest in stage.guests())
    with stage.ports.database.read() as work:
        canary = work.canaries.get("tiny", 2)
    assert canary is not None
    assert canary.green
    assert stage.site.history("tiny")[0] == "version 2 published by anna (before: 1)"
    assert stage.ports.store.check(version) is None


def test_seats_are_untouched(stage: Stage) -> None:
    stage.session()
    client = stage.player.client(3)
    stage.well(sessions.publish(stage.ports, "tiny", by="anna"))
    assert stage.site.guest(client.name) == client


def test_two_teachers_the_second_is_told_and_keeps_his_draft(stage: Stage) -> None:
    first = stage.session("A")
    sessions.keep(stage.ports, first.name, by="anna")
    second = stage.session("B", by="ben")
    stage.well(sessions.publish(stage.ports, first.name, by="anna"))
    with pytest.raises(Conflict) as caught:
        sessions.publish(stage.ports, second.name, by="ben")
    assert "now it is v2: version 2 published by anna" in str(caught.value)
    assert "--replace" in caught.value.hint
    assert stage.draft(second.name) == second
    stage.well(sessions.publish(stage.ports, second.name, by="ben", replace=True))
    assert stage.published() == 3
    assert "in place of what was published meanwhile" in stage.site.history("tiny")[0]


def test_a_conflict_in_the_last_moment_keeps_draft_and_tested_version(stage: Stage) -> None:
    first = stage.session("A")
    stage.well(sessions.publish(stage.ports, first.name, by="anna"))
    second = stage.session("B")
    job = sessions.publish(stage.ports, second.name, by="ben")
    real = stage.trial.answers

    def meanwhile(address: object, port: int) -> bool:
        if stage.published() == 2:
            versions.rollback(stage.ports, "tiny", by="carla")
        return real(address, port)  # type: ignore[arg-type]

    stage.trial.answers = meanwhile  # type: ignore[method-assign,assignment]
    ended = stage.done(job)
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == "conflict"
    after = stage.draft(second.name)
    assert (after.state, after.candidate) == (DraftState.KEPT, 3)
    assert (stage.published(), stage.version(3).stage) == (1, VersionStage.TESTED)


def test_a_red_canary_publishes_nothing_and_the_candidate_is_used_again(stage: Stage) -> None:
    draft = stage.session()
    stage.trial.shut = True
    ended = stage.done(sessions.publish(stage.ports, draft.name, by="anna"))
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert "The canary of tiny v2 is red: its spice port is open" in ended.error.sentence
    assert "--override" in ended.error.hint
    after = stage.draft(draft.name)
    assert (after.state, after.candidate, stage.published()) == (DraftState.KEPT, 2, 1)
    assert stage.version(2).stage is VersionStage.DRAFT
    sealed = stage.version(2)
    stage.trial.shut = False
    stage.well(sessions.publish(stage.ports, draft.name, by="anna"))
    assert stage.published() == 2
    assert stage.version(2).file == sealed.file


def test_a_draft_that_was_opened_again_is_sealed_anew(stage: Stage) -> None:
    draft = stage.session()
    stage.trial.shut = True
    stage.done(sessions.publish(stage.ports, draft.name, by="anna"))
    stage.trial.shut = False
    job = stage.well(sessions.start(stage.ports, "desk", by="anna", draft=draft.name))
    stage.player.write_inside(job.result["guest"], "C")
    assert stage.draft(draft.name).candidate is None
    stage.well(sessions.publish(stage.ports, draft.name, by="anna"))
    assert stage.published() == 3


def test_an_override_publishes_without_a_canary_and_is_written_down(stage: Stage) -> None:
    draft = stage.session()
    stage.trial.shut = True
    stage.well(sessions.publish(stage.ports, draft.name, by="anna", override="the class begins now"))
    assert stage.published() == 2
    assert "published by anna, without a canary: the class begins now" in stage.site.history("tiny")[0]


def test_a_guest_that_ignores_its_button_is_switched_off_and_published_all_the_same(stage: Stage) -> None:
    draft = stage.session()
    stage.player.ignores_button = True
    job = stage.well(sessions.publish(stage.ports, draft.name, by="anna"))
    assert any("did not follow its power button" in line for _, line in jobs.lines(stage.ports, job.number))


def test_a_guest_that_never_stops_ends_the_job_and_the_draft_is_kept(stage: Stage) -> None:
    draft = stage.session()
    stage.player.never_stops = True
    ended = stage.done(sessions.publish(stage.ports, draft.name, by="anna"))
    assert ended.error is not None
    assert "does not stop" in ended.error.sentence
    assert stage.draft(draft.name).state is DraftState.KEPT
    stage.player.never_stops = False
    stage.player.look()
    stage.well(sessions.publish(stage.ports, draft.name, by="anna"))


def test_a_full_disk_while_sealing_changes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = stage.session()

    def full(*_: object, **__: object) -> None:
        raise DiskError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(type(stage.ports.store), "seal", full)
        assert stage.done(sessions.publish(stage.ports, draft.name, by="anna")).state is JobState.FAILED
    assert (stage.draft(draft.name).state, stage.published()) == (DraftState.KEPT, 1)
    stage.well(sessions.publish(stage.ports, draft.name, by="anna"))
    assert stage.published() == 2


def test_it_is_published_once_at_a_time_and_a_queued_one_can_be_called_off(stage: Stage) -> None:
    draft = stage.session()
    job = sessions.publish(stage.ports, draft.name, by="anna")
    with pytest.raises(Conflict, match="being published already, by anna"):
        sessions.publish(stage.ports, draft.name, by="ben")
    jobs.cancel(stage.ports, job.number, by="anna")
    assert stage.draft(draft.name).state is DraftState.OPEN
    assert stage.guests()[0].state is GuestState.RUNNING


def test_a_cancelled_one_keeps_the_draft(stage: Stage) -> None:
    draft = stage.session()
    job = sessions.publish(stage.ports, draft.name, by="anna")
    stage.player.after.append(lambda: jobs.cancel(stage.ports, job.number, by="anna") and None)  # type: ignore[func-returns-value]
    assert stage.done(job).state is JobState.CANCELLED
    assert (stage.draft(draft.name).state, stage.published()) == (DraftState.KEPT, 1)


def test_a_draft_whose_job_is_gone_is_kept_by_mending(stage: Stage) -> None:
    draft = stage.session()
    with stage.ports.database.write() as work:
        work.drafts.update(draft.moved(DraftState.PUBLISHING, stage.site.clock.now()))
        work.commit()
    sessions.mend(stage.ports)
    assert stage.draft(draft.name).state is DraftState.KEPT


def test_killed_before_each_durable_step_it_ends_with_one_version(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    draft = stage.session()
    met: list[str] = []
    real: Callable[..., None] = Task.step

    def step(task: Task, words: str, **more: object) -> None:
        kind = re.sub(r"-s[0-9]+", "", words)  # whichever special guest it is
        if kind not in met:
            met.append(kind)
            raise Killed
        real(task, words, **more)

    monkeypatch.setattr(Task, "step", step)
    monkeypatch.setattr("labvirt.usecases.jobs.ATTEMPTS", 100)
    job = sessions.publish(stage.ports, draft.name, by="anna")
    ended: Job | None = None
    for _ in range(40):
        try:
            ended = jobs.run(stage.ports, job.number)
            break
        except Killed:
            sessions.mend(stage.ports)
            stage.player.look()
    assert ended is not None
    assert ended.state is JobState.DONE, ended.error
    assert len(met) >= 7
    with stage.ports.database.read() as work:
        assert [version.number for version in work.images.versions("tiny")] == [1, 2]
    assert stage.published() == 2
    assert all(guest.wish is Wish.STOPPED for guest in stage.guests())


def test_it_waits_until_the_picture_is_painted(stage: Stage) -> None:
    draft = stage.session()
    stage.player.picture = picture(colours=1)

    def paint() -> None:
        stage.player.picture = picture()

    stage.player.after += [lambda: None] * 6 + [paint]
    job = stage.well(sessions.publish(stage.ports, draft.name, by="anna"))
    with stage.ports.database.read() as work:
        canary = work.canaries.get("tiny", int(job.result["number"]))
    assert canary is not None
    step: CanaryStep = next(each for each in canary.steps if each.name == "it shows a picture")
    assert step.ok
    assert stage.trial.pictures[canary.picture] == picture()
