# SPDX-License-Identifier: MIT
"""A descriptor of ours that programs of another user may open by a path, where it cannot be handed to them: for a while.

Who may look into a process may open its descriptors (proc(5), /proc/PID/fd): its own user may, if the process has no right that the
other lacks. So a program of that user, which does nothing and has no right, holds the descriptor. It ends with the block, and with us.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from labvirt.system import privileges

_HOLDER = "cat"
"""It says what it is told, so that its first word proves that it is who it should be; and it ends when nobody can tell it anything."""
_BEGIN_SECONDS = 20.0
_END_SECONDS = 5.0


@contextmanager
def lent(descriptor: int, uid: int | None) -> Iterator[Path]:
    """Where user `uid` (None: our own) finds the file, below /proc; opened there it is a file of its own, from the beginning.

    Raises OSError.
    """
    before = privileges.without_rights() if uid is None else privileges.as_user(uid)
    holder = subprocess.Popen(
        (*before, _HOLDER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        start_new_session=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        _await_word(holder.stdin, holder.stdout)
        yield Path(str(holder.pid), "fd", str(descriptor))
    finally:
        holder.stdin.close()  # it ends
        holder.stdout.close()
        try:
            holder.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()


def _await_word(tell: IO[bytes], heard: IO[bytes]) -> None:
    """The program runs: whatever became another user before it has done so. Raises OSError."""
    os.write(tell.fileno(), b"\n")
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    if not poll.poll(_BEGIN_SECONDS * 1000):
        raise TimeoutError(None, f"{_HOLDER} did not begin within {_BEGIN_SECONDS:g} s")
    if not os.read(heard.fileno(), 1):
        raise OSError(None, f"{_HOLDER} could not be started as another user")
