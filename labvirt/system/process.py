# SPDX-License-Identifier: MIT
"""Starting programs and ending processes.

1. A program is a list of arguments; there is no shell anywhere.
2. A process is known by boot, pid and start time together; a bare pid may be somebody else's by now.
3. Signals go through a pidfd that was opened before the identity was compared: what was checked is what gets the
signal.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labvirt.system.machine import boot_id

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
) -> Result:
    """The program has ended, by itself or because `timeout` seconds were over: then it and its children of the same
    group are killed.

    Never raises for what the program does; a program that is missing or may not be executed has code 127 and says so
    in stderr.
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
            stdout, stderr, in_time = _communicate(process, input, time.monotonic() + timeout, limit)
        except BaseException:
            _kill_group(process)
            raise
        if not in_time:
            _kill_group(process)
        code = process.wait()
    return Result(argv=argv, code=code, stdout=stdout, stderr=stderr, timed_out=not in_time)


def _communicate(
    process: subprocess.Popen[bytes], data: bytes, deadline: float, limit: int
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
            for key, _ in selector.select(left):
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
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(kept[process.stdout]), bytes(kept[process.stderr]), False
    return bytes(kept[process.stdout]), bytes(kept[process.stderr]), True


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # not waited for yet: the number is still its own


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """One process and no other: `start_ticks` is field 22 of /proc/PID/stat (proc(5)), clock ticks since boot."""

    boot_id: str
    pid: int
    start_ticks: int


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has this pid now; None if there is none, or only its corpse."""
    found = _start_ticks(pid)
    return None if found is None else ProcessIdentity(boot_id=boot_id(), pid=pid, start_ticks=found)


def is_alive(process: ProcessIdentity) -> bool:
    """Does exactly this process live?"""
    return process.boot_id == boot_id() and _start_ticks(process.pid) == process.start_ticks


def send_signal(process: ProcessIdentity, number: signal.Signals) -> bool:
    """`process`, and no other, got the signal.

    False if it is gone (its pid may be another's by now). Raises PermissionError.
    """
    descriptor = _open(process)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def wait_end(process: ProcessIdentity, timeout: float) -> bool:
    """True when the process is gone, False when it lives after `timeout` seconds.

    Works for processes that are not our children.
    """
    descriptor = _open(process)
    if descriptor is None:
        return True
    try:
        poll = select.poll()  # select() stops at descriptor 1023
        poll.register(descriptor, select.POLLIN)  # readable at its end: pidfd_open(2)
        return bool(poll.poll(max(0, int(timeout * 1000))))
    finally:
        os.close(descriptor)


def open_pidfd(process: ProcessIdentity) -> int | None:
    """A descriptor that becomes readable when exactly this process ends; None if it is gone. The caller closes it."""
    return _open(process)


def _open(process: ProcessIdentity) -> int | None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if is_alive(process):  # compared after opening: from here the number cannot change its owner under us
        return descriptor
    os.close(descriptor)
    return None


def _start_ticks(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in brackets may hold spaces and brackets itself, so the fields are counted from its end: state is field
    # 3.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def spawn_detached(
    argv: Sequence[str],
    *,
    log: Path,
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> ProcessIdentity:
    """The program runs in a session of its own, with `log` (0600, appended) as stdout and stderr, and outlives this
    process.

    No corpse stays: while we live a thread waits for its end, later the init process does. Raises OSError when it
    cannot be started; a program that ends at once is started, and found dead by its identity.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        process = subprocess.Popen(
            tuple(argv),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=None if env is None else dict(env),
            cwd=cwd or "/",  # never keep a folder busy that somebody wants to unmount
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    # Not waited for yet, so the pid is still its own, even if it is dead already.
    ticks = _start_ticks(process.pid)
    identity = ProcessIdentity(boot_id=boot_id(), pid=process.pid, start_ticks=-1 if ticks is None else ticks)
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    return identity


class Child:
    """A program that belongs to this process: the supervisor's engine and web.

    Prefix its argv with privileges.ends_with_parent().
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Started, with our own stdout and stderr unless `log` is given. Raises OSError."""
        descriptor = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = subprocess.Popen(
                tuple(argv),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=None if env is None else dict(env),
                pass_fds=tuple(pass_fds),
            )
        finally:
            if descriptor is not None:
                os.close(descriptor)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Exit code (minus the signal that ended it), or None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, or None if it still runs after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, *, grace_seconds: float) -> int:
        """It has ended: asked by SIGTERM, after the grace by SIGKILL. Returns its exit code."""
        self._process.terminate()
        code = self.wait(grace_seconds)
        if code is None:
            self._process.kill()
            code = self._process.wait()
        return code
