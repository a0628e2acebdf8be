# SPDX-License-Identifier: MIT
"""Starting programs that go on by themselves: detached ones that outlive us, and children that belong to us."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from labvirt.system.identity import ProcessIdentity, pidfd_readable, start_ticks_of
from labvirt.system.machine import boot_id


def spawn_detached(
    argv: Sequence[str],
    *,
    log: Path,
    descriptors: Sequence[int] = (),
    pass_fds: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
) -> ProcessIdentity:
    """The program runs in a session of its own, with `log` (0600, appended) as stdout and stderr, and outlives this
    process.

    It finds `descriptors` as 3, 4, ... in this order, `pass_fds` under their own numbers, and no other descriptor of
    ours. No corpse stays: while we live a thread waits for its end, later the init process does. Raises OSError when
    it cannot be started; a program that ends at once is started, and found dead by its identity.
    """
    pid = _spawn(argv, descriptors=descriptors, pass_fds=pass_fds, env=env, log=log, session=True)
    # Nobody has waited for it yet, so the pid is still its own, even if it is dead already.
    ticks = start_ticks_of(pid)
    threading.Thread(target=_reap, args=(pid,), name=f"reap-{pid}", daemon=True).start()
    return ProcessIdentity(boot_id=boot_id(), pid=pid, start_ticks=-1 if ticks is None else ticks)


class Child:
    """A program that belongs to this process: the supervisor's engine and web.

    Prefix its argv with privileges.ends_with_parent(). One thread at a time.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        descriptors: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Started, with our own stdout and stderr unless `log` is given, and `descriptors` as 3, 4, ...

        Raises OSError.
        """
        self.pid = _spawn(argv, descriptors=descriptors, pass_fds=(), env=env, log=log, session=False)
        self._pidfd = os.pidfd_open(self.pid)
        self._code: int | None = None

    def fileno(self) -> int:
        """Readable when it has ended: for select."""
        return self._pidfd

    @property
    def code(self) -> int | None:
        """Exit code (minus the signal that ended it), or None while it runs."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code, or None if it still runs after `timeout` seconds (None: however long it takes)."""
        if self._code is None and pidfd_readable(self._pidfd, timeout):
            self._code = _reap(self.pid)
        return self._code

    def stop(self, *, grace_seconds: float) -> int:
        """It has ended: asked by SIGTERM, after the grace by SIGKILL. Returns its exit code."""
        for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, None)):
            if self.code is None:
                signal.pidfd_send_signal(self._pidfd, number)
            code = self.wait(patience)
            if code is not None:
                return code
        raise AssertionError("a killed process ends")

    def close(self) -> None:
        """Its descriptor is given back; the program is not touched."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def _spawn(
    argv: Sequence[str],
    *,
    descriptors: Sequence[int],
    pass_fds: Sequence[int],
    env: Mapping[str, str] | None,
    log: Path | None,
    session: bool,
) -> int:
    """posix_spawn and not fork: nothing of Python runs in the child, whatever our other threads hold."""
    # Python's own descriptors do not survive exec (PEP 446). Those to be handed over are first copied out of the way,
    # so that putting the one to 3 cannot overwrite another that is still to be put.
    safe = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 3 + len(descriptors)) for each in descriptors]
    try:
        actions: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
        if log is not None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            actions += [(os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600), (os.POSIX_SPAWN_DUP2, 1, 2)]
        actions += [(os.POSIX_SPAWN_CLOSE, each) for each in _inheritable() if each not in pass_fds]
        # Onto itself: POSIX_SPAWN_DUP2 then only takes close-on-exec away (glibc 2.29).
        actions += [(os.POSIX_SPAWN_DUP2, each, each) for each in pass_fds]
        actions += [(os.POSIX_SPAWN_DUP2, each, number) for number, each in enumerate(safe, 3)]
        return os.posix_spawnp(
            argv[0],
            tuple(argv),
            dict(os.environ if env is None else env),
            file_actions=actions,
            setsid=session,
            setsigmask=(),  # ours may be blocked in this thread, and would stay so in the program
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),  # Python ignores SIGPIPE; programs expect it
        )
    finally:
        for each in safe:
            os.close(each)


def _inheritable() -> list[int]:
    """What we ourselves were started with beyond 0, 1, 2.

    Python's own descriptors do not survive exec (PEP 446), these would.
    """
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself is closed already
            if int(name) > 2 and os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def _reap(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
