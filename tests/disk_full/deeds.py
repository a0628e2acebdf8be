# SPDX-License-Identifier: MIT
"""What is done on a full disk: each deed prepares a state and is done until a person would have been told; worker.py judges."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from labvirt.contracts.disks import RunDisk
from labvirt.contracts.images import SealMethod
from labvirt.disks import uploads as upload_room
from labvirt.disks.uploads import UploadFolder
from labvirt.domain.draft import Draft
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.image import DiskChoice
from labvirt.domain.job import Job, JobError, JobState
from labvirt.domain.kept import Kept
from labvirt.usecases import garbage, images, jobs, power, profiles, sessions, uploads, versions
from labvirt.usecases.ports import Ports
from tests.disk_full.room import MIB, Room
from tests.engine.simulated import until
from tests.fakes.engine import FakeEngineLink

WHO = "the full disk"
NEW = b"new!" * (MIB // 4)
RUN = RunId(guest="lab-a-01", generation=9)
STUCK_SECONDS = 3.0


class Told(Exception):
    """A person was told that it was not done."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.sentence)
        self.error = error


class Waiting(Exception):
    """Nobody was told anything yet: the work is begun again when there is room."""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """`need_kib`: with so much free it succeeds, found by measuring. `frees`: it must succeed on any full disk.

    `leaves`: what may lie there although nobody needs it: the folder of a version that was replaced (`orphan`), a keeping that goes on
    (`.part`), the file of a draft whose row could not be written (`has no row`): garbage collection takes it.
    """

    name: str
    before: Callable[[Room], None]
    do: Callable[[Room], None]
    need_kib: int
    frees: bool = False
    leaves: str = "nothing"
    engine: bool = False
    bin_days: float = 7


def ports_of(house: Room) -> Ports:
    """Doors without an engine behind them: the jobs are done by whoever asks."""
    return replace(house.ports(FakeEngineLink()), uploads=UploadFolder(house.root / "uploads"))


def finish(ports: Ports, job: Job) -> None:
    """Done here, as the command line does it."""
    ended = jobs.run(ports, job.number)
    assert ended is not None
    _judged(ended)


def _judged(job: Job) -> None:
    if job.state is not JobState.DONE:
        assert job.error is not None, job
        raise Told(job.error)


def finish_left(house: Room) -> bool:
    """Jobs whose rows could not be written are taken up again. True when there were any."""
    ports = ports_of(house)
    left = jobs.unfinished(ports)
    for number in left:
        finish(ports, jobs.one(ports, number))
    return bool(left)


# --- before


def nothing(house: Room) -> None:
    (house.root / "second.raw").write_bytes(NEW)


def _kept_draft(house: Room) -> None:
    """A teacher's draft, put aside, with 1 MiB of changes."""
    nothing(house)
    with house.at_work() as (ports, _):
        house.done(ports, sessions.start(ports, "tiny", by=WHO))
        _write(house, house.drafts.list()[0].path)
        sessions.keep(ports, "tiny", by=WHO)
        until(lambda: sessions.one(ports, "tiny").draft.guest is None and not ports.disks.runs())


def _write(house: Room, disk: Path) -> None:
    argv = ["qemu-io", "-f", "qcow2", "-c", f"write -P 0x6e 0 {MIB}", str(disk)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def _layer(house: Room) -> None:
    _kept_draft(house)
    ports = ports_of(house)
    finish(ports, sessions.publish(ports, "tiny", by=WHO, method=SealMethod.LAYER, override="none is needed"))


def _two(house: Room) -> None:
    nothing(house)
    ports = ports_of(house)
    finish(ports, images.import_image(ports, "tiny", house.root / "second.raw", format="raw", by=WHO, override="full disk"))


def _binned(house: Room) -> None:
    """One version in the recycle bin, and nothing else that could make room."""
    _two(house)
    versions.bin(ports_of(house), "tiny", 1, by=WHO)


def _rubbish(house: Room) -> None:
    """A version, a draft, a kept overlay and an upload that nobody needs any more."""
    _two(house)
    _ended(house)
    house.kept.keep(RUN, _about())
    with house.at_work() as (ports, _):
        house.done(ports, sessions.start(ports, "tiny", by=WHO))
        sessions.discard(ports, "tiny", by=WHO)
        until(lambda: all(one.guest is None for one in _drafts(house)) and not ports.disks.runs())
        versions.bin(ports, "tiny", 1, by=WHO)


def _drafts(house: Room) -> tuple[Draft, ...]:
    with house.database.read() as work:
        return work.drafts.list()


def _ended(house: Room) -> None:
    """What a run of a seat leaves behind when its machine has ended."""
    nothing(house)
    version = house.versions()[house.published() or 1]
    ((_, layers),) = house.disks.create_run(RUN, (RunDisk(place=0, chain=(version,)),), uid=None)
    _write(house, layers[0].path)


def _about() -> Kept:
    choice = DiskChoice(place=0, image="tiny", version=1)
    return Kept(run=RUN, profile="tiny", disks=(choice,), ended_at=datetime.now(UTC))


def _uploading(house: Room) -> None:
    nothing(house)
    ports = ports_of(house)
    assert ports.uploads is not None
    uploads_ = ports.uploads
    with _roomy():
        uploads.begin(ports, name="tiny", format="raw", size_bytes=MIB, by=WHO)
    assert len(uploads_.list()) == 1


@contextmanager
def _roomy() -> Iterator[None]:
    """The reserve that uploads leave is larger than this whole file system."""
    before = upload_room._RESERVE
    upload_room._RESERVE = 0
    try:
        yield
    finally:
        upload_room._RESERVE = before


# --- deeds


def _import(house: Room) -> None:
    ports = ports_of(house)
    finish(ports, images.import_image(ports, "tiny", house.root / "second.raw", format="raw", by=WHO, publish=False))


def _blank(house: Room) -> None:
    ports = ports_of(house)
    finish(ports, images.blank(ports, "tiny", gib=64, by=WHO))


def _publish(method: SealMethod) -> Callable[[Room], None]:
    def deed(house: Room) -> None:
        ports = ports_of(house)
        finish(ports, sessions.publish(ports, "tiny", by=WHO, method=method, override="none is needed"))

    return deed


def _flatten(house: Room) -> None:
    ports = ports_of(house)
    finish(ports, versions.flatten(ports, "tiny", 2, by=WHO))


def _export(format: str, compress: bool = False) -> Callable[[Room], None]:
    def deed(house: Room) -> None:
        ports = ports_of(house)
        target = house.root / "exported" / "tiny.img"
        target.parent.mkdir(exist_ok=True)
        finish(ports, images.export(ports, "tiny", None, target, format=format, compress=compress, by=WHO))

    return deed


def _upload(house: Room) -> None:
    ports = ports_of(house)
    assert ports.uploads is not None
    (upload,) = ports.uploads.list()
    with uploads.write(ports, upload.id, upload.offset) as writing:
        for start in range(upload.offset, MIB, 65536):
            writing.put(NEW[start : start + 65536])
        writing.sync()
    finish(ports, uploads.finish(ports, upload.id, sha256=hashlib.sha256(NEW).hexdigest(), by=WHO))


def _keep(house: Room) -> None:
    assert house.kept.keep(RUN, _about()) is not None


def _clone(house: Room) -> None:
    profiles.clone(ports_of(house), "tiny", "other")


def _undo(house: Room) -> None:
    versions.rollback(ports_of(house), "tiny", by=WHO)


def _delete(house: Room) -> None:
    versions.bin(ports_of(house), "tiny", 1, by=WHO)


def _discard(house: Room) -> None:
    sessions.discard(ports_of(house), "tiny", by=WHO)


def _collect(house: Room) -> None:
    ports = ports_of(house)
    for _time in range(2):
        finish(ports, garbage.collect(ports, by=WHO))
    left = [entry.file.parent.name for entry in house.store.entries()]
    assert len(left) == 1, f"garbage was left: {left}"
    assert not house.drafts.list()
    assert not house.kept.list()


def _forget(house: Room) -> None:
    house.kept.remove(RUN)
    assert not house.kept.list()


def _stop_run(house: Room) -> None:
    house.disks.remove_run(RUN)
    assert not house.disks.runs()


def _kept_run(house: Room) -> None:
    _ended(house)
    house.kept.keep(RUN, _about())


def _log(house: Room) -> None:
    """A job that has much to say."""
    ports = ports_of(house)
    with ports.database.write() as work:
        job = jobs.enqueue_in(ports, work, jobs.JobKind.GARBAGE, "talk", by=WHO, arguments={"dry_run": "yes"})
        for line in range(300):
            work.jobs.say(job.number, ports.clock.now(), f"{line} " + "x" * 900)
        work.commit()
    finish(ports, job)


def _session(house: Room) -> None:
    """With an engine: the draft, the run's folder and its guest."""
    ports = house.working
    assert ports is not None
    _ended_soon(ports, sessions.start(ports, "tiny", by=WHO))


def _ended_soon(ports: Ports, job: Job) -> None:
    try:
        until(lambda: jobs.one(ports, job.number).ended, STUCK_SECONDS)
    except AssertionError:
        raise Waiting from None
    _judged(jobs.one(ports, job.number))


def _stop(house: Room) -> None:
    """With an engine: a seat's machine goes off, what was written is kept."""
    ports = house.working
    assert ports is not None
    power.stop(ports, "lab-a-01", StopHow.STOP)
    try:
        until(lambda: str(power.one(ports, "lab-a-01").state) == "stopped" and not ports.disks.runs(), STUCK_SECONDS)
    except AssertionError:
        raise Waiting from None
    assert len(house.kept.list()) == 1, "what was written is not kept"


def _running(house: Room) -> None:
    nothing(house)
    with house.at_work() as (ports, _):
        power.start(ports, "lab-a-01")
        until(lambda: power.one(ports, "lab-a-01").ready)
        row = power.one(ports, "lab-a-01")
        assert row.run is not None
        folder = ports.disks.open_run(row.run)
        assert folder is not None
        _write(house, folder.overlays[0])


DEEDS = {
    deed.name: deed
    for deed in (
        Deed(name="import", before=nothing, do=_import, need_kib=3072),
        Deed(name="blank", before=nothing, do=_blank, need_kib=512),
        Deed(name="publish-layer", before=_kept_draft, do=_publish(SealMethod.LAYER), need_kib=1536),
        Deed(name="publish-flatten", before=_kept_draft, do=_publish(SealMethod.FLATTEN), need_kib=3072),
        Deed(name="flatten", before=_layer, do=_flatten, need_kib=1536, leaves="orphan"),
        Deed(name="export", before=_two, do=_export("qcow2"), need_kib=1536),
        Deed(name="export-raw", before=_two, do=_export("raw"), need_kib=1280),
        Deed(name="export-packed", before=_two, do=_export("qcow2", compress=True), need_kib=512),
        Deed(name="upload", before=_uploading, do=_upload, need_kib=4096),
        Deed(name="keep", before=_ended, do=_keep, need_kib=64, leaves=".part"),
        Deed(name="clone", before=nothing, do=_clone, need_kib=64),
        Deed(name="undo", before=_two, do=_undo, need_kib=64),
        Deed(name="delete", before=_two, do=_delete, need_kib=64, frees=True),
        Deed(name="discard", before=_kept_draft, do=_discard, need_kib=64, frees=True),
        Deed(name="garbage", before=_rubbish, do=_collect, need_kib=128, frees=True, bin_days=0),
        Deed(name="garbage-version", before=_binned, do=_collect, need_kib=128, frees=True, bin_days=0),
        Deed(name="forget-kept", before=_kept_run, do=_forget, need_kib=64, frees=True),
        Deed(name="remove-run", before=_ended, do=_stop_run, need_kib=64, frees=True),
        Deed(name="log", before=nothing, do=_log, need_kib=1024),
        Deed(name="session", before=nothing, do=_session, need_kib=256, engine=True, leaves="has no row"),
        Deed(name="stop", before=_running, do=_stop, need_kib=64, engine=True),
    )
}
