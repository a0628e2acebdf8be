# SPDX-License-Identifier: MIT
"""One worker, alone in a mount namespace: prepares a deed's state once, then, for each trial it is told, copies it onto the small file
system, takes the room away, does the deed, judges, gives room, and does it again. Speaks JSON lines."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from labvirt.disks import copying
from labvirt.disks import uploads as upload_room
from labvirt.domain.job import JobError
from labvirt.engine import carry
from labvirt.errors import LabVirtError
from tests.disk_full.deeds import DEEDS, Deed, Told, Waiting, finish_left
from tests.disk_full.ground import Ext4, Ground, Tmpfs
from tests.disk_full.room import Before, Room
from tests.engine.simulated import until

SAYS = re.compile(r"(?i)no space|no room|is full|MiB are free|read-only|cannot be opened for writing|too many open files")
FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
CODES = {"exhausted", "database", "disk", "host-not-ready", "hypervisor"}


@dataclass(kw_only=True)
class Answer:
    """`outcome`: done, refused (a person was told), waiting (it is begun again when there is room)."""

    outcome: str = ""
    code: str = ""
    said: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """`what` is short: bytes, inodes, files (open at once), or writing at all (ro).

    `database`: it lies on the small file system too; `reserved`: with room of its own, as while an engine runs. `raced`: nobody looks at
    the free space before.
    """

    what: str
    free: int = 0
    database: bool = False
    reserved: bool = False
    raced: bool = False


class Worker:
    def __init__(self, folder: Path, deed: Deed, *, ext4: bool) -> None:
        self._folder = folder
        self._deed = deed
        self._root = folder / "state"
        self._beside = folder / "beside"
        self._ground: Ground = Ext4(self._root) if ext4 else Tmpfs(self._root)
        self._ext4 = ext4

    def prepare(self) -> None:
        """The deed's state, kept in two folders: what is copied onto the file system, and what lies beside it. Each twice: with the
        database on the file system, and beside it."""
        self._clear()
        (self._root / "uploads").mkdir()
        (self._beside / "fake").mkdir(parents=True)
        (self._root / "fake").symlink_to(self._beside / "fake")  # the pretended machines are no part of the disk
        room = Room(self._root, bin_days=self._deed.bin_days)
        try:
            copying._RESERVE = 0
            room.begin()
            self._deed.before(room)
        finally:
            room.close()
        for database in (True, False):
            for name, source in (("root", self._root), ("beside", self._beside)):
                self._copy(source, self._prepared(name, database=database))
        file, elsewhere = (self._prepared(name, database=False) / "labvirt.db" for name in ("root", "beside"))
        file.rename(elsewhere)
        file.symlink_to(self._beside / "labvirt.db")

    def run(self, trial: Trial) -> Answer:
        if not self._prepared("root", database=trial.database).is_dir():
            self.prepare()
        self._clear()
        for name, target in (("root", self._root), ("beside", self._beside)):
            self._copy(self._prepared(name, database=trial.database), target)
        answer = Answer()
        room = Room(self._root, bin_days=self._deed.bin_days, reserved=trial.reserved)
        try:
            with ExitStack() as stack:
                self._raced(stack, trial)
                if self._deed.engine:
                    room.working, _ = stack.enter_context(room.at_work())
                before = room.now()
                self._take_room(trial)
                self._first(room, trial, answer, before)
                self._lift()
                self._again(room, trial, answer, before)
        except Exception:  # noqa: BLE001 - it is the answer
            answer.problems.append(traceback.format_exc()[-1500:])
        finally:
            self._lift()
            room.close()
        return answer

    def _first(self, room: Room, trial: Trial, answer: Answer, before: Before) -> None:
        try:
            self._deed.do(room)
            answer.outcome = "done"
            answer.problems += room.tidy(self._deed.leaves)
        except Told as error:
            answer.outcome = "refused"
            answer.problems += self._clear_words(answer, error.error)
        except LabVirtError as error:
            answer.outcome = "refused"
            answer.problems += self._clear_words(answer, JobError(code=error.code, sentence=error.sentence, hint=error.hint))
        except Waiting:
            answer.outcome = "waiting"
        except Exception:  # noqa: BLE001
            answer.outcome = "traceback"
            answer.problems.append(traceback.format_exc()[-1500:])
        if answer.outcome == "refused" and not trial.database:
            # Who may open no more files cannot remove any either: the next work does it.
            leaves = "left in the stage" if trial.what == "files" else self._deed.leaves
            answer.problems += room.unchanged(before, leaves)
        if answer.outcome != "done" and self._deed.frees and (trial.reserved or not trial.database) and trial.what == "bytes":
            answer.problems.append(f"it makes room, and was not done on a full disk: {answer.said}")

    def _again(self, room: Room, trial: Trial, answer: Answer, before: Before) -> None:
        """There is room: what was begun is ended; what was refused works now."""
        if answer.outcome == "done":
            return
        try:
            if self._deed.engine:
                self._with_engine(room, answer)
            else:
                left = False
                try:
                    left = finish_left(room)
                except Told as error:
                    answer.problems += [f"the job that was begun again failed: {error.error}"]
                if not left:
                    answer.problems += room.unchanged(before, self._deed.leaves) if trial.database else ()
                    self._deed.do(room)
            answer.problems += [f"after there was room: {each}" for each in room.tidy(self._deed.leaves)]
        except Exception:  # noqa: BLE001
            answer.problems.append(f"after there was room ({answer.outcome}, {answer.said}): {traceback.format_exc()[-1500:]}")

    def _with_engine(self, room: Room, answer: Answer) -> None:
        assert room.working is not None
        if answer.outcome == "waiting":
            until(lambda: room._quiet(room.working), 15)  # type: ignore[arg-type]
            with room.database.read() as work:
                done = any(job.kind == "session" and job.state == "done" for job in work.jobs.list()) or bool(room.kept.list())
            if done:
                return
        until(lambda: room._quiet(room.working), 15)  # type: ignore[arg-type]
        self._deed.do(room)

    def _clear_words(self, answer: Answer, error: JobError) -> Iterator[str]:
        answer.code, answer.said = error.code, f"{error.sentence} | {error.hint}"
        if error.code not in CODES or not SAYS.search(answer.said):
            yield f"this does not say that the disk is full: [{error.code}] {answer.said}"
        if not error.hint:
            yield f"this does not say what to do: [{error.code}] {answer.said}"

    def _take_room(self, trial: Trial) -> None:
        if trial.what == "bytes":
            self._ground.bound(trial.free)
        elif trial.what == "inodes":
            self._ground.bound_inodes(trial.free)
        elif trial.what == "files":
            most = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (most - 1 + trial.free, FILES[1]))
        else:
            self._ground.lock()

    def _lift(self) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, FILES)
        self._ground.lift()

    @staticmethod
    def _raced(stack: ExitStack, trial: Trial) -> None:
        """The reserve is larger than this whole file system; who is raced does not even ask what is free. What the engine could not clear
        away it tries again soon."""
        carry.CLEAR_AGAIN_SECONDS = 0.5
        need, reserve, uploads = copying.need, copying._RESERVE, upload_room._RESERVE
        copying._RESERVE = upload_room._RESERVE = 0
        if trial.raced:
            copying.need = lambda folder, amount, name: None

        def back() -> None:
            copying.need, copying._RESERVE, upload_room._RESERVE = need, reserve, uploads

        stack.callback(back)

    def _prepared(self, name: str, *, database: bool) -> Path:
        return self._folder / f"prepared-{name}-{'small' if database else 'beside'}"

    def _clear(self) -> None:
        self._ground.lift()
        for left in self._root.iterdir():
            if left.is_symlink() or left.is_file():
                left.unlink()
            elif left.name != "lost+found":
                shutil.rmtree(left)
        shutil.rmtree(self._beside, ignore_errors=True)

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        target.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", f"{source}/.", str(target)], check=True, capture_output=True, timeout=60)


def main() -> None:
    """worker.py FOLDER DEED tmpfs|ext4, then one trial per line on stdin."""
    worker = Worker(Path(sys.argv[1]), DEEDS[sys.argv[2]], ext4=sys.argv[3] == "ext4")
    for line in sys.stdin:
        print(json.dumps(asdict(worker.run(Trial(**json.loads(line))))), flush=True)


if __name__ == "__main__":
    main()
