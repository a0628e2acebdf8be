# SPDX-License-Identifier: MIT
"""Who wakes a clone, as a word in its mark (libvirt) or launch record (qemu): a clone whose waker died before it was awake is nobody's
guest, and is ended by the next look.

Machines do not survive a reboot, so pid and start time tell processes apart.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from labvirt.system.process import identify

_lock = threading.Lock()
_going: set[str] = set()
"""Of this process."""


@contextmanager
def waking() -> Iterator[str]:
    """A word that nobody else has; inside the block its clone is being woken."""
    me = identify(os.getpid())
    assert me is not None
    word = f"{me.pid}:{me.start_ticks}:{secrets.token_hex(4)}"
    with _lock:
        _going.add(word)
    try:
        yield word
    finally:
        with _lock:
            _going.discard(word)


def is_going(word: str) -> bool:
    """Does who said this still wake its clone? A word that is none of ours is nobody's."""
    with _lock:
        if word in _going:
            return True
    try:
        pid, ticks, _ = word.split(":")
        process = identify(int(pid))
        return process is not None and process.pid != os.getpid() and process.start_ticks == int(ticks)
    except ValueError:
        return False
