# SPDX-License-Identifier: MIT
"""Running a program to its end. A program is a list of arguments; there is no shell anywhere.

Programs that go on by themselves are started in spawn.py and known by identity.py; callers find all of it here.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labvirt.system.identity import (
    ProcessIdentity,
    identify,
    is_alive,
    open_pidfd,
    send_signal,
    started_at,
    wait_end,
    writers_of,
)
from labvirt.system.spawn import Child, spawn_detached

__all__ = [
    "OUTPUT_LIMIT",
    "Child",
    "ProcessIdentity",
    "Result",
    "identify",
    "is_alive",
    "open_pidfd",
    "run",
    "send_signal",
    "spawn_detached",
    "started_at",
    "wait_end",
    "writers_of",
]

_TELL_SECONDS = 0.5
_DRAIN_SECONDS = 10.0
OUTPUT_LIMIT = 4 << 20
"""Bytes of output that are kept; what a program says beyond that is read and dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a program ended. `code` is its exit code, minus the signal that ended it, or 127 when it could not be
    started.
    """

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out

    @property
    def last_words(self) -> str:
        """The last line it wrote to stderr (or stdout), for a sentence to people; says so when there was none."""
        if self.timed_out:
            return f"{self.argv[0]} did not end in time"
        for raw in (self.stderr, self.stdout):
            lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
            if lines:
                return lines[-1][:500]
        return f"{self.argv[0]} ended with code {self.code} and said nothing"


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    input: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    limit: int = OUTPUT_LIMIT,
    until: bytes = b"",
    heard: Callable[[bytes], None] | None = None,
) -> Result:
    """The program has ended, by itself or because `timeout` seconds were over: then it and its children of the same
    group are killed.

    Never raises for what the program does; a program that is missing or may not be executed has code 127 and says so
    in stderr. With `until`, a program that never ends by itself is killed as soon as it has said this on stdout:
    `timed_out` is False then and `code` is -9. `heard` is told every piece of stdout as it comes, and nothing (b"") at
    least twice a second; when it raises, the program is killed, its outputs are closed, and the exception goes on.
    """
    argv = tuple(argv)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except OSError as error:
        return Result(argv=argv, code=127, stdout=b"", stderr=f"{argv[0]} cannot be started: {error.strerror}".encode())
    with process:
        try:
            stdout, stderr, in_time = _communicate(process, input, time.monotonic() + timeout, limit, until, heard)
        except BaseException:
            _kill_group(process)
            _drain(process)
            raise
        if not in_time or (until and until in stdout):
            _kill_group(process)
        code = process.wait()
    return Result(argv=argv, code=code, stdout=stdout, stderr=stderr, timed_out=not in_time)


def _communicate(
    process: subprocess.Popen[bytes],
    data: bytes,
    deadline: float,
    limit: int,
    until: bytes,
    heard: Callable[[bytes], None] | None,
) -> tuple[bytes, bytes, bool]:
    """Both outputs, each cut at `limit`, and whether the program ended before the deadline."""
    assert process.stdout is not None
    assert process.stderr is not None
    kept: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    rest = memoryview(data)
    with selectors.DefaultSelector() as selector:
        for stream in kept:
            selector.register(stream, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return bytes(kept[process.stdout]), bytes(kept[process.stderr]), False
            ready = selector.select(left if heard is None else min(left, _TELL_SECONDS))
            if heard is not None and not ready:
                heard(b"")
            for key, _ in ready:
                file = key.fileobj
                assert not isinstance(file, int)
                if file is process.stdin:
                    try:
                        rest = rest[os.write(key.fd, rest[:65536]) :]
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:  # it does not want to hear more: its exit code will tell
                        rest = rest[:0]
                    if not rest:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                    continue
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(file)
                    continue
                buffer = kept[file]  # type: ignore[index]  # only streams of `kept` are left
                buffer += piece[: max(0, limit - len(buffer))]
                if heard is not None and file is process.stdout:
                    heard(piece)
                if until and file is process.stdout and until in buffer:
                    return bytes(buffer), bytes(kept[process.stderr]), True
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(kept[process.stdout]), bytes(kept[process.stderr]), False
    return bytes(kept[process.stdout]), bytes(kept[process.stderr]), True


def _drain(process: subprocess.Popen[bytes]) -> None:
    """What was killed has let go of our pipes, and so of its files: its last one, not only the first. Bounded."""
    deadline = time.monotonic() + _DRAIN_SECONDS
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if not os.read(key.fd, 65536):
                    selector.unregister(key.fileobj)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # not waited for yet: the number is still its own
