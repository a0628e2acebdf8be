# SPDX-License-Identifier: MIT
"""One worker of the sweep, started under crashpoint.c: prepares a verb's state once, then, for each number it is given, copies it, does the
verb in a child that dies at that durable call, recovers in a second child, and judges what is left. Speaks JSON lines."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.sweep.crashpoint import Fault, Table
from tests.sweep.verbs import CONTROL, VERBS, Verb

PR_SET_CHILD_SUBREAPER = 36
"""linux/prctl.h"""

CHILD_SECONDS = 200.0


class Worker:
    """`folder` holds the table, the prepared state of the verb, and the state that is being tried."""

    def __init__(self, folder: Path, verb: Verb) -> None:
        self._table = Table(Path(os.environ["CRASHPOINT_TABLE"]))
        self._prepared = folder / "prepared"
        self._state = folder / "state"
        self._verb = verb
        self._says = folder / "says"

    def prepare(self) -> int:
        """The verb's state is made; returns how many durable calls the verb has (about: threads take turns as they like)."""
        self._table.disarm()
        shutil.rmtree(self._prepared, ignore_errors=True)
        self._reset_to_nothing()
        status = self._child(lambda: self._verb.prepare(self._state))
        if status != 0:
            raise SystemExit(f"{self._verb.name} cannot be prepared: {self._said()}")
        # The state keeps its path: what it holds may name it.
        shutil.copytree(self._state, self._prepared, symlinks=True)
        answer = self.try_one(0, Fault.KILL)
        if answer["problems"] and self._verb is not CONTROL:
            raise SystemExit(f"{self._verb.name} does not work without any fault: {answer['problems']}")
        return int(str(answer["count"]))

    def try_one(self, number: int, fault: Fault, second: int = 0) -> dict[str, object]:
        """One death (or failed fsync) and its recovery; with `second`, the recovery dies too, at its call of that number, and begins again.
        `problems` is empty when all is well; `fired` False: there is no such call."""
        self._reset_to_nothing()
        shutil.copytree(self._prepared, self._state, symlinks=True)
        for lock in self._state.glob("**/*.sock"):
            lock.unlink()
        self._table.arm(fault, number)
        status = self._child(lambda: self._verb.act(self._state, self._table.acknowledge))
        acked, fired, what = self._table.acked, self._table.fired, self._table.what
        count = self._table.count
        self._table.disarm()
        problems: list[str] = []
        if not fired and status != 0:
            problems.append(f"it failed although nothing was done to it (status {status}): {self._said()}")
        if fault is Fault.KILL and fired and os.waitstatus_to_exitcode(status) not in (-signal.SIGKILL, 0, 1):
            problems.append(f"ended with {status}: {self._said()}")
        if second:
            self._table.arm(Fault.KILL, second)
            self._child(lambda: self._judge(acked))
            self._table.disarm()
        after = self._child(lambda: self._judge(acked))
        if after != 0:
            problems.append(self._said() or f"the recovery ended with {after}")
        return {"number": number, "count": count, "fired": fired, "what": what, "acked": acked, "problems": problems}

    def _judge(self, acked: bool) -> None:
        problems = self._verb.judge(self._state, acked)
        if problems:
            raise SystemExit("; ".join(problems))

    def _reset_to_nothing(self) -> None:
        shutil.rmtree(self._state, ignore_errors=True)

    def _said(self) -> str:
        try:
            return self._says.read_text(errors="replace")[-2000:].strip()
        except OSError:
            return ""

    def _child(self, deed: Callable[[], None]) -> int:
        """In a process group of its own; nothing of it is left afterwards. The wait status."""
        self._says.unlink(missing_ok=True)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            says = os.open(self._says, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(says, 1)
            os.dup2(says, 2)
            try:
                deed()
            except SystemExit as error:
                print(error.code, file=sys.stderr, flush=True)
                os._exit(1)
            except BaseException:  # noqa: BLE001 - it is shown, and the process ends
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        over = threading.Event()
        watchdog = threading.Timer(CHILD_SECONDS, lambda: None if over.is_set() else os.killpg(pid, signal.SIGABRT))
        watchdog.daemon = True
        watchdog.start()
        _, status = os.waitpid(pid, 0)
        over.set()
        watchdog.cancel()
        watchdog.join()
        self._reap()
        return status

    @staticmethod
    def _reap() -> None:
        """Grandchildren come to us when their parent dies (subreaper): they are killed and waited for."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            children: set[str] = set()
            for task in Path("/proc/self/task").iterdir():
                with suppress(FileNotFoundError):  # a thread that has just ended
                    children |= set((task / "children").read_text().split())
            if not children:
                return
            for child in children:
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(int(child), signal.SIGKILL)
                    os.waitpid(int(child), 0)


def main() -> None:
    """worker.py FOLDER VERB, then one line per number on stdin ('17', 'sync 17', 'deep 5 17': the recovery dies at its fifth call);
    answers one JSON line each."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    worker = Worker(Path(sys.argv[1]), {**VERBS, CONTROL.name: CONTROL}[sys.argv[2]])
    print(json.dumps({"count": worker.prepare()}), flush=True)
    for line in sys.stdin:
        *kind, number = line.split()
        fault = Fault.FAIL_SYNC if kind == ["sync"] else Fault.KILL
        second = int(kind[1]) if kind[:1] == ["deep"] else 0
        print(json.dumps(worker.try_one(int(number), fault, second)), flush=True)


if __name__ == "__main__":
    main()
