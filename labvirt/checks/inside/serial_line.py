# SPDX-License-Identifier: MIT
"""Commands over a guest's serial line, for a guest that answers `exec COMMAND` with its output and `exit STATUS` (images/tiny/README.md).

The line carries other things too (kernel messages, READY lines), so the command's output is put between two marks of its own.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time

from .lines import Line, Silent
from .result import Result

PING_SECONDS = 3.0
QUIET_SECONDS = 1.0
COMMAND_BYTES = 3000
"""A terminal in its line mode takes 4095 bytes at once (termios(3), MAX_CANON)."""
OUTPUT_BYTES = 16 << 20
_EXIT = re.compile(rb"exit (\d{1,3})\r?\Z")


class SerialLine:
    """Raises Silent when nobody answers."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._met = False

    def meet(self, deadline: float) -> None:
        """Somebody at the other end understands us."""
        if self._met:
            return
        self._line.drop()
        self._line.send(b"\nping\n", deadline)
        while not self._read(deadline).startswith(b"pong "):
            pass
        self._met = True

    def run(self, command: str, timeout: float) -> Result:
        """Raises Silent, ValueError (several lines, too long), TimeoutError (the line is of no use until the command ends)."""
        if "\n" in command or "\r" in command or len(command.encode()) > COMMAND_BYTES:
            raise ValueError(f"over the serial line a command is one line of at most {COMMAND_BYTES} bytes")
        deadline = time.monotonic() + timeout
        self.meet(min(deadline, time.monotonic() + PING_SECONDS))
        self._line.drop()
        mark = secrets.token_hex(8)
        begin, end = f"BEGIN-{mark}".encode(), f"END-{mark} ".encode()
        self._line.send(f"exec echo BEGIN-{mark}; ( {command} ); s=$?; echo; echo END-{mark} $s\n".encode(), deadline)
        try:
            return self._output(begin, end, deadline)
        except Silent as error:
            self._met = False
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{command!r} did not end within {timeout} s") from error
            raise

    def _output(self, begin: bytes, end: bytes, deadline: float) -> Result:
        kept: list[bytes] = []
        size, begun = 0, False
        while True:
            line = self._read(deadline)
            if line == begin:
                begun, kept, size = True, [], 0
            elif begun and line.startswith(end):
                self._pass_over_exit()
                return Result(code=_number(line[len(end) :]), out=_text(kept))
            elif (found := _EXIT.match(line)) and not begun and not self._line.listen(QUIET_SECONDS):
                return Result(code=int(found[1]), out=_text(kept))  # the shell could not even read the command
            else:
                kept.append(line)
                size += len(line) + 1
                if size > OUTPUT_BYTES:
                    raise Silent(f"it says more than {OUTPUT_BYTES} bytes")

    def _pass_over_exit(self) -> None:
        """The wrapper's own status comes last."""
        soon = time.monotonic() + QUIET_SECONDS
        with contextlib.suppress(Silent):
            while not _EXIT.match(self._read(soon)):
                pass

    def _read(self, deadline: float) -> bytes:
        return self._line.until(b"\n", deadline, most=OUTPUT_BYTES).rstrip(b"\r")


def _number(raw: bytes) -> int:
    return int(raw) if raw.isdigit() and len(raw) <= 3 else -1


def _text(lines: list[bytes]) -> str:
    if lines and not lines[-1]:
        lines = lines[:-1]  # ours, so that the mark stands at a line's beginning
    return b"".join(line + b"\n" for line in lines).decode("utf-8", "replace")
