# SPDX-License-Identifier: MIT
"""The one line that says how things are: rewritten on a terminal, appended to a log, and a JSON file for programs.

Showing must never hold the kiosk: a full pipe or a full disk loses a line, nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from labvirt_kiosk import __version__
from labvirt_kiosk.answer import Answer

STATES = ("asking", "waiting", "unknown", "connecting", "viewing", "retrying", "away", "refused", "stopped")


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """What the status file holds. Times are UTC, ISO 8601."""

    state: str = "asking"
    message: str = ""
    since: str = ""
    updated_at: str = ""
    pid: int = field(default_factory=os.getpid)
    kiosk: str = __version__
    controller: str = ""
    id: str | None = None
    terminal: str | None = None
    lab: str | None = None
    seat: int | None = None
    guest: str | None = None
    help_code: str | None = None
    enrolment_code: str | None = None
    notice: str | None = None
    waits_for: str | None = None
    language: str | None = None
    """What the controller wishes, like the three below."""
    fixed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    notice_seconds: int = 20
    expect_at: str | None = None
    """When it is likely to be ready, by this terminal's own clock."""
    answers_seen: int = 0
    last_error: str | None = None
    heartbeat_error: str | None = None
    viewer_pid: int | None = None
    viewer_exit: int | None = None
    viewer_starts: int = 0
    asked_at: str | None = None
    ready_at: str | None = None
    viewer_started_at: str | None = None
    viewer_connected_at: str | None = None
    face_pid: int | None = None
    face_error: str | None = None


class StatusLine:
    """Shows a Status on descriptor `output` and in `file`. Safe to call from several threads."""

    def __init__(
        self,
        *,
        file: Path | None,
        output: int = 1,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        translate: Callable[[str], str] = str,
    ) -> None:
        self._file = file
        self._output = output
        self._now = now
        self._translate = translate  # for the person; files and logs stay English
        self._lock = threading.Lock()
        self._status = Status()
        self._is_tty = os.isatty(output)
        self._printed = ""

    @property
    def status(self) -> Status:
        return self._status

    def now(self) -> str:
        return self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _later(self, seconds: float | None) -> str | None:
        if seconds is None:
            return None
        return (self._now() + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def show(self, state: str, message: str, *, once: str | None = None, **fields: Any) -> None:
        """The line is `message`. `once` is what a log gets instead of each step of a countdown."""
        assert state in STATES
        with self._lock:
            since = self._status.since if state == self._status.state and self._status.since else self.now()
            self._status = replace(self._status, state=state, message=message, since=since, **fields)
            self._write_file()
            self._print(self._translate(message) if self._is_tty else once or message)

    def answer(self, answer: Answer) -> None:
        """Who we are, as the controller says."""
        self.note(
            answers_seen=self._status.answers_seen + 1,
            terminal=answer.terminal,
            lab=answer.lab,
            seat=answer.seat,
            guest=answer.guest,
            help_code=answer.help_code,
            enrolment_code=answer.enrolment_code,
            notice=answer.notice,
            waits_for=answer.waits_for,
            expect_at=self._later(answer.expect_seconds),
        )

    def note(self, **fields: Any) -> None:
        """Fields change, the line does not."""
        with self._lock:
            changed = replace(self._status, **fields)
            if changed != self._status:
                self._status = changed
                self._write_file()

    def trouble(self, sentence: str) -> None:
        """What does not work beside the viewer: a line in the log (standard error) and in the status."""
        self.note(last_error=sentence)
        with contextlib.suppress(OSError):
            if select.select([], [2], [], 0)[1]:
                os.write(2, f"labvirt-kiosk: {sentence}\n".encode("utf-8", "replace")[:4096])

    def _write_file(self) -> None:
        if self._file is None:
            return
        text = json.dumps(asdict(replace(self._status, updated_at=self.now())), ensure_ascii=False, indent=1) + "\n"
        new = self._file.with_name(f".{self._file.name}.{os.getpid()}.new")
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(self._file)
        except OSError:
            new.unlink(missing_ok=True)  # the line on the screen still tells

    def _print(self, message: str) -> None:
        if message == self._printed:
            return
        self._printed = message
        if self._is_tty:
            width = shutil.get_terminal_size().columns - 1
            text = "\r\x1b[K" + message[:width]
        else:
            text = message + "\n"
        try:
            # a pipe that is writable takes at least 4096 bytes (PIPE_BUF) without blocking
            if select.select([], [self._output], [], 0)[1]:
                os.write(self._output, text.encode("utf-8", "replace")[:4096])
        except OSError:
            pass  # nobody reads any more
