# SPDX-License-Identifier: MIT
"""Keeps the face running beside the loop: a process of its own, so that nothing that happens to it touches the viewer."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from labvirt_kiosk import leash
from labvirt_kiosk.backoff import Backoff

NO_FACE = 4
"""Exit code of a face that can never show itself here: no Tk."""
GOOD_SECONDS = 60.0
END_SECONDS = 3.0


class FaceKeeper:
    """Starts the face, and again when it ends, ever more rarely; `say` hears its pid, or None with the reason."""

    def __init__(
        self, arguments: Sequence[str], say: Callable[[int | None, str], None], log: Path, environment: Mapping[str, str] = os.environ
    ) -> None:
        package = Path(__file__).resolve().parent
        self._argv = [sys.executable, str(package.parent / "labvirt-kiosk-face"), *arguments]
        self._say = say
        self._log = log
        self._environment = dict(environment)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="face", daemon=True)

    def start(self) -> None:
        """The face is on its way. Never raises: a kiosk without a face is a kiosk."""
        self._thread.start()

    def stop(self) -> None:
        """No face runs."""
        with self._lock:
            self._stopping.set()
            process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _errors(self) -> IO[bytes]:
        """What the last face complained of is kept: a face ends at its first mistake, so that is never much."""
        try:
            return self._log.open("wb")
        except OSError:
            return open(os.devnull, "wb")

    def _run(self) -> None:
        backoff = Backoff()
        # The leash ties the face to this thread, which lives as long as the kiosk: see leash.py.
        tied = [sys.executable, "-I", "-S", str(leash.__file__), str(os.getpid()), *self._argv]
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                with self._lock:
                    if self._stopping.is_set():
                        return
                    with self._errors() as errors:
                        self._process = subprocess.Popen(
                            tied, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=self._environment
                        )
            except OSError as error:
                self._say(None, f"The face does not start: {error.strerror}")
            else:
                self._say(self._process.pid, "")
                code = self._process.wait()
                if self._stopping.is_set():
                    return
                if code == NO_FACE:
                    self._say(None, "There is no face: Python's tkinter (Debian: python3-tk) is not installed")
                    return
                self._say(None, f"The face ended (exit code {code})")
            if time.monotonic() - started >= GOOD_SECONDS:
                backoff.reset()
            self._stopping.wait(backoff.next_seconds())
