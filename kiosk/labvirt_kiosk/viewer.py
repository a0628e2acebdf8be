# SPDX-License-Identifier: MIT
"""One running viewer: started on a leash, watched until it ends, ended with everything it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labvirt_kiosk import leash
from labvirt_kiosk.trouble import Refused
from labvirt_kiosk.viewer_command import ViewerCommand
from labvirt_kiosk.viewer_log import ViewerLog

END_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """How a viewer ended."""

    exit_code: int
    """As the shell counts: 128 + signal for a killed one."""
    seconds: float
    last_line: str
    connected: bool = False
    """Whether it was ever seen connected to its guest."""


class Viewer:
    """A viewer in a session of its own, so that Ctrl-C at the kiosk does not reach it by another way."""

    def __init__(self, command: ViewerCommand, log: Path) -> None:
        """Starts it. Main thread only (leash.py says why). Raises Refused if there is no room for a new process."""
        assert threading.current_thread() is threading.main_thread()
        tied = [sys.executable, "-I", "-S", str(leash.__file__), str(os.getpid()), *command.argv]
        self._started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                tied,
                stdin=subprocess.PIPE if command.standard_input else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Refused(f"The viewer does not start: {error.strerror}; restart the terminal") from error
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._log = ViewerLog(self._process.stdout, log, command.secret)
        self._run: Run | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="viewer-watch", daemon=True).start()
        if self._process.stdin is not None:
            feeding = (self._process.stdin, command.standard_input)
            threading.Thread(target=_feed, args=feeding, name="viewer-input", daemon=True).start()

    def wait(self) -> Run:
        """How it ended, when it has. May be called from any thread."""
        self._ended.wait()
        assert self._run is not None
        return self._run

    def has_ended_within(self, seconds: float) -> bool:
        """Whether it has ended; waits at most `seconds` for that."""
        return self._ended.wait(seconds)

    def end(self) -> None:
        """The viewer and what it started are gone, politely at first."""
        self._signal_group(signal.SIGTERM)
        if not self._ended.wait(END_SECONDS):
            self._signal_group(signal.SIGKILL)
            self._ended.wait()

    def _watch(self) -> None:
        # Look without reaping: while the dead leader keeps its number, the group's number cannot be somebody else's.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        seconds = time.monotonic() - self._started
        self._signal_group(signal.SIGKILL)  # what it left behind
        code = self._process.wait()
        last_line = self._log.last_line()
        self._run = Run(exit_code=code if code >= 0 else 128 - code, seconds=seconds, last_line=last_line)
        self._ended.set()

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process.returncode is not None:
            return  # reaped: its number may be another's by now
        with contextlib.suppress(ProcessLookupError):  # all are gone
            os.killpg(self.pid, number)


def _feed(standard_input: IO[bytes], text: str) -> None:
    """Writes in a thread of its own: a viewer that does not read must not hold the kiosk."""
    try:
        with standard_input:
            standard_input.write(text.encode("utf-8"))
    except OSError:
        pass  # it ended before it read; its exit code tells more
