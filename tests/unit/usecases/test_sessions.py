# SPDX-License-Identifier: MIT
"""Admin sessions: who may open one when, what is durable at each point, and how they end. The engine is played, disks are real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.job import Job, JobState
from labvirt.domain.profile import Bus, Profile, SessionPolicy, Slot, SlotKind
from labvirt.errors import Conflict, DiskError, InvalidInput, LabVirtError, NotFound
from labvirt.usecases import asking, draining, jobs, sessions
from labvirt.usecases.task import Task
from tests.fakes.player import Player
from tests.unit.usecases.conftest import Site


@pytest.fixture
def player(site: Site, monkeypatch: pytest.MonkeyPatch) -> Player:
    playing = Player(ports=site.ports, clock=site.clock, engine=site.engine)

    def sleep(task: Task, seconds: float) -> None:
        task.check()
        playing.nap(seconds)
        task.check()

    monkeypatch.setattr(Task, "sleep", sleep)
    return playing


def policy(site: Site, value: SessionPolicy, **more: object) -> None:
    with site.ports.database.write() as work:
        work.profiles.update(replace(work.profiles.one("desk"), session_policy=value, **more))  # type: ignore[arg-type]
        work.commit()


def opened(site: Site, **more: str) -> tuple[Draft, Guest]:
    job = site.well(sessions.start(site.ports, "desk", by="anna", **more))  # type: ignore[arg-type]
    with site.ports.database.read() as work:
        return work.drafts.one(job.result["draft"]), work.guests.one(job.result["guest"])


def draft_of(site: Site, name: str) -> Draft:
    with site.ports.database.read() as work:
        return work.drafts.one(name)


def refused(site: Site, kind: type[LabVirtError], **more: object) -> str:
    with pytest.raises(kind) as caught:
        sessions.start(site.ports, "desk", by="ben", **more)  # type: ignore[arg-type]
    assert caught.value.hint or kind is InvalidInput
    return str(caught.value)


def test_a_session_is_a_draft_with_its_guest(site: Site, player: Player) -> None:
    draft, guest = opened(site)
    assert (draft.name, draft.image, draft.parent, draft.pointer, draft.owner) == ("tiny.d1", "tiny", 1, 1, "anna")
    assert (draft.state, draft.guest, draft.place) == (DraftState.OPEN, "lab-a-s01", 0)
    assert (guest.purpose, guest.source, guest.wish, guest.state) == (Purpose.ADMIN, "tiny.d1", Wish.RUNNING, GuestState.RUNNING)
    assert [(disk.place, disk.image, disk.version) for disk in guest.disks] == [(0, "tiny", 1)]
    assert [each.name for each in site.ports.drafts.list()] == ["tiny.d1"]
    assert any("admin session tiny.d1 opened on v1 by anna" in line for line in site.history("tiny"))


def test_only_one_is_open_per_image_and_the_refusal_says_whose(site: Site, player: Player) -> None:
    queued = sessions.start(site.ports, "desk", by="anna")
    assert "just being opened by anna" in refused(site, Conflict)
    site.well(queued)
    since = draining.clock_time(draft_of(site, "tiny.d1").since)
    assert f"tiny is being updated by anna since {since}" in refused(site, Conflict)
    sessions.keep(site.ports, "tiny", by="anna")
    assert sessions.start(site.ports, "desk", by="ben").state is JobState.QUEUED


@pytest.mark.parametrize(
    "more, kind",
    [
        ({"image": "other"}, InvalidInput),
        ({"lab": "nowhere"}, NotFound),
        ({"draft": "tiny.d9"}, NotFound),
        ({"draft": "nonsense"}, InvalidInput),
        ({"boot_cdrom": True}, InvalidInput),
        ({"cdrom": "relative.iso"}, InvalidInput),
        ({"cdrom": "/no/such.iso"}, InvalidInput),
        ({"cdrom": "/etc"}, InvalidInput),
        ({"cdrom": "/dev/null"}, InvalidInput),
        ({"cdrom": "/etc/\npasswd"}, InvalidInput),
        ({"cdrom": "/" + "x" * 5000}, InvalidInput),
    ],
)
def test_what_is_wrong_is_said_before_there_is_a_job(site: Site, more: dict[str, object], kind: type[LabVirtError]) -> None:
    before = len(jobs.everything(site.ports))
    refused(site, kind, **more)
    with pytest.raises(NotFound):
        sessions.start(site.ports, "no-such-profile", by="ben")
    assert len(jobs.everything(site.ports)) == before
    assert sessions.start(site.ports, "desk", by="ben").number > 0


def test_a_cd_reaches_the_guest(site: Site, player: Player, tmp_path: Path) -> None:
    disc = tmp_path / "debian.iso"
    disc.write_bytes(b"iso")
    _, guest = opened(site, cdrom=str(disc), boot_cdrom=True)  # type: ignore[arg-type]
    assert (guest.cdrom, guest.boot_cdrom) == (str(disc), True)


def test_an_image_with_nothing_published_begins_from_its_newest_version(site: Site, player: Player) -> None:
    with site.ports.database.write() as work:
        version = work.images.version("tiny", 1)
        assert version is not None
        work.images.add(replace(work.images.one("tiny"), name="blank", published=None))
        work.images.add_version(replace(version, image="blank", file=PurePosixPath("blank/v1-000000000000/disk.qcow2")))
        work.profiles.add(Profile(name="setup", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="blank"),)))
        work.images.add(replace(work.images.one("tiny"), name="empty", published=None))
        work.profiles.add(Profile(name="none", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="empty"),)))
        work.commit()
    job = sessions.start(site.ports, "setup", by="anna")
    assert job.subject == "blank.d1"
    with pytest.raises(Conflict, match="no version to begin from"):
        sessions.start(site.ports, "none", by="anna")


def test_the_policy_refuse_counts_the_clients_and_holds_new_ones(site: Site, player: Player) -> None:
    player.client(1)
    player.client(2)
    assert "2 clients of lab-a run from tiny" in refused(site, Conflict)
    for name in ("lab-a-01", "lab-a-02"):
        player.switch_off_inside(name)
    opened(site)
    with site.ports.database.read() as work:
        choice = asking.choose(work, work.labs.one("lab-a"), None)
        assert choice.profile is None
        assert "tiny is being updated by anna since" in choice.verdicts[0].why
    sessions.discard(site.ports, "tiny", by="anna")
    with site.ports.database.read() as work:
        assert asking.choose(work, work.labs.one("lab-a"), None).profile is not None


def test_the_policy_alongside_asks_nobody(site: Site, player: Player) -> None:
    policy(site, SessionPolicy.ALONGSIDE)
    client = player.client(1)
    opened(site)
    with site.ports.database.read() as work:
        assert work.guests.one(client.name) == client
        assert asking.choose(work, work.labs.one("lab-a"), None).profile is not None


def test_the_policy_drain_tells_waits_and_then_opens(site: Site, player: Player) -> None:
    policy(site, SessionPolicy.DRAIN, drain_seconds=40)
    player.client(1)
    player.client(2)
    job = sessions.start(site.ports, "desk", by="anna")
    told: list[Guest | None] = []
    player.after.append(lambda: told.append(site.guest("lab-a-01")))
    ended = site.well(job)
    assert told[0] is not None
    assert told[0].due is Due.STOP
    assert told[0].notice.startswith("tiny is being updated: this computer is switched off at ")
    words = [line for _, line in jobs.lines(site.ports, ended.number)]
    assert "waiting for 2 computers: 40 s" in words
    for name in ("lab-a-01", "lab-a-02"):
        guest = site.guest(name)
        assert guest is not None
        assert guest.state is GuestState.STOPPED
    assert draft_of(site, "tiny.d1").state is DraftState.OPEN


def test_a_drain_that_is_cancelled_tells_everybody_that_nothing_happens(site: Site, player: Player) -> None:
    policy(site, SessionPolicy.DRAIN, drain_seconds=40)
    client = player.client(1)
    job = sessions.start(site.ports, "desk", by="anna")

    def held_and_cancel() -> None:
        with site.ports.database.read() as work:
            assert "tiny" in draining.held(work)
        jobs.cancel(site.ports, job.number, by="anna")

    player.after.append(held_and_cancel)
    assert site.done(job).state is JobState.CANCELLED
    guest = site.guest(client.name)
    assert guest is not None
    assert (guest.due, guest.notice, guest.state) == (None, "", GuestState.RUNNING)
    with site.ports.database.read() as work:
        assert work.drafts.list() == ()
        assert draining.held(work) == {}


def test_a_client_that_ignores_its_button_is_switched_off_when_its_time_is_over(site: Site, player: Player) -> None:
    policy(site, SessionPolicy.DRAIN, drain_seconds=10)
    client = player.client(1)
    player.ignores_button = True
    with site.ports.database.write() as work:
        work.guests.update(client.unwanted(StopHow.SHUTDOWN))
        work.commit()
    player.look()
    opened(site)
    guest = site.guest(client.name)
    assert guest is not None
    assert guest.stop_how is StopHow.STOP


def test_a_guest_that_cannot_start_ends_the_job_with_its_reason_and_bins_the_empty_draft(site: Site, player: Player) -> None:
    player.fails = "QEMU says no"
    ended = site.done(sessions.start(site.ports, "desk", by="anna"))
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert "QEMU says no" in ended.error.sentence
    guest = site.guest("lab-a-s01")
    assert guest is not None
    assert guest.wish is Wish.STOPPED
    assert draft_of(site, "tiny.d1").state is DraftState.DISCARDED
    player.fails = ""
    assert opened(site)[0].name == "tiny.d2"


def test_a_kept_draft_is_opened_again_and_stays_kept_when_that_fails(site: Site, player: Player) -> None:
    draft, guest = opened(site)
    player.write_inside(guest.name)
    sessions.keep(site.ports, draft.name, by="anna")
    with pytest.raises(Conflict, match="still being shut down"):
        sessions.start(site.ports, "desk", by="anna", draft=draft.name)
    player.look()
    sessions.mend(site.ports)
    assert draft_of(site, draft.name).guest is None
    player.fails = "no memory"
    assert site.done(sessions.start(site.ports, "desk", by="ben", draft=draft.name)).state is JobState.FAILED
    assert draft_of(site, draft.name).state is DraftState.KEPT
    player.fails = ""
    again, second = opened(site, draft=draft.name)
    assert (again.name, again.state, second.source) == (draft.name, DraftState.OPEN, draft.name)
    assert again.pointer == 1


def test_a_session_whose_user_shut_it_down_stays_open_and_can_be_gone_on_with(site: Site, player: Player) -> None:
    draft, guest = opened(site)
    player.switch_off_inside(guest.name)
    sessions.mend(site.ports)
    assert draft_of(site, draft.name).state is DraftState.OPEN
    again, _ = opened(site, draft=draft.name)
    assert again.state is DraftState.OPEN
    with pytest.raises(Conflict, match="open already"):
        sessions.start(site.ports, "desk", by="anna", draft=draft.name)


def test_the_job_may_be_begun_again_anywhere(site: Site, player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each of its durable steps in turn, it ends with one draft, one guest, one file."""
    steps: list[str] = []
    real: Callable[..., None] = Task.step

    class Killed(BaseException):
        pass

    def step(task: Task, words: str, **more: object) -> None:
        if words not in steps:
            steps.append(words)
            raise Killed
        real(task, words, **more)

    monkeypatch.setattr(Task, "step", step)
    monkeypatch.setattr("labvirt.usecases.jobs.ATTEMPTS", 100)
    job = sessions.start(site.ports, "desk", by="anna")
    ended: Job | None = None
    for _ in range(10):
        try:
            ended = jobs.run(site.ports, job.number)
            break
        except Killed:
            continue
    assert ended is not None
    assert ended.state is JobState.DONE, ended.error
    assert len(steps) >= 2
    with site.ports.database.read() as work:
        assert [each.name for each in work.drafts.list()] == ["tiny.d1"]
        assert [each.name for each in work.guests.list()] == ["lab-a-s01"]
    assert [each.name for each in site.ports.drafts.list()] == ["tiny.d1"]


def test_keep_discard_and_restore(site: Site, player: Player) -> None:
    draft, guest = opened(site)
    player.ignores_button = True
    kept = sessions.keep(site.ports, "tiny", by="anna")
    assert (kept.state, kept.guest) == (DraftState.KEPT, guest.name)
    player.look()
    sessions.mend(site.ports)
    assert draft_of(site, draft.name).guest == guest.name
    site.clock.go(61)
    sessions.mend(site.ports)  # it did not follow its power button
    player.look()
    sessions.mend(site.ports)
    assert draft_of(site, draft.name).guest is None
    assert sessions.discard(site.ports, draft.name, by="anna").state is DraftState.DISCARDED
    assert sessions.everything(site.ports) == ()
    assert [view.draft.name for view in sessions.everything(site.ports, binned=True)] == [draft.name]
    with pytest.raises(NotFound):
        sessions.keep(site.ports, "tiny", by="anna")
    assert sessions.restore(site.ports, draft.name, by="anna").state is DraftState.KEPT
    sessions.discard(site.ports, draft.name, by="anna")
    site.ports.drafts.remove(draft.name)
    with pytest.raises(Conflict, match="cannot come back"):
        sessions.restore(site.ports, draft.name, by="anna")


def test_whoever_may_not_look_into_a_runs_folder_sees_the_session_all_the_same(
    site: Site, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web process is no owner of the runs."""
    draft, _ = opened(site)
    assert sessions.one(site.ports, draft.name).vnc is not None  # the control

    def closed(self: object, run: object) -> None:
        raise DiskError("Cannot read the run folder: Permission denied.")

    monkeypatch.setattr(type(site.ports.disks), "open_run", closed)
    assert sessions.one(site.ports, draft.name).vnc is None
    assert [each.draft.name for each in sessions.everything(site.ports)] == [draft.name]


def test_the_view_says_how_to_reach_the_screen_and_who_overtook(site: Site, player: Player) -> None:
    draft, guest = opened(site)
    site.clock.go(600)
    view = sessions.one(site.ports, "tiny")
    assert (view.draft.name, view.idle_minutes, view.overtaken) == (draft.name, 10, False)
    assert view.vnc is not None
    assert view.vnc.parent.name == f"{guest.name}.g1"
    assert view.spice is not None
    assert (str(view.spice[0]), view.spice[1]) == ("10.77.0.1", 20000 + guest.seat)
    sessions.touch(site.ports, draft.name)
    assert sessions.one(site.ports, draft.name).idle_minutes == 0
    with pytest.raises(NotFound):
        sessions.one(site.ports, "nothing")


def test_an_idle_session_reminds_once_and_stops_nothing(site: Site, player: Player) -> None:
    draft, guest = opened(site)
    assert sessions.remind(site.ports, site.clock.now()) == ()
    site.clock.go(31 * 60)
    for _ in range(3):
        found = sessions.remind(site.ports, site.clock.now())
        assert [each.code for each in found] == ["session-idle"]
    assert len([line for line in site.history("tiny") if "idle" in line]) == 1
    assert site.guest(guest.name) == guest
    site.move(GuestState.CONNECTED, name=guest.name)
    assert sessions.remind(site.ports, site.clock.now()) == ()
    assert draft_of(site, draft.name).reminded_at is None
    assert sessions.remind(site.ports, site.clock.now()) == ()


def test_mending_writes_nothing_when_all_is_well(site: Site, player: Player) -> None:
    opened(site)
    site.engine.asked.clear()
    sessions.mend(site.ports)
    assert site.engine.pokes == 0


def test_mending_calls_off_a_drain_without_its_job(site: Site, player: Player) -> None:
    client = player.client(1)
    with site.ports.database.write() as work:
        work.guests.update(client.with_due(Due.STOP, site.clock.now(), "tiny is being updated: soon"))
        work.commit()
    sessions.mend(site.ports)
    guest = site.guest(client.name)
    assert guest is not None
    assert (guest.due, guest.notice) == (None, "")
