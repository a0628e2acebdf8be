# SPDX-License-Identifier: MIT
"""From a socket in a run's folder to a descriptor that somebody else may own; and what QEMU says of its serial line. Both real drivers'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from labvirt.errors import Conflict, DriverTimeout, HypervisorError
from labvirt.system.sockets import connect_unix

CONNECT_SECONDS = 2.0


def connected(path: Path, guest: str) -> int:
    """A descriptor whose other end is behind this socket. Raises DriverTimeout (too many wait there), HypervisorError."""
    try:
        return connect_unix(path, timeout=CONNECT_SECONDS).detach()
    except TimeoutError as error:
        raise DriverTimeout(
            f"{guest} takes no console within {CONNECT_SECONDS:g} s.", operation="console", subject=guest, hint="Close consoles of it."
        ) from error
    except OSError as error:
        raise HypervisorError(
            f"The console of {guest} cannot be reached: {error.strerror}.", operation="console", subject=guest, hint="Does it still run?"
        ) from error


def check_free(answer: object, labels: Sequence[str], guest: str) -> None:
    """Raises Conflict when `query-chardev` says that somebody listens to the serial line (qapi/char.json: a socket's `filename` begins with
    'disconnected:' while nobody does). QEMU lets a second one connect, and tells him nothing: he would wait in silence."""
    for line in answer if isinstance(answer, Sequence) else ():
        if isinstance(line, Mapping) and line.get("label") in labels and not str(line.get("filename", "")).startswith("disconnected:"):
            raise Conflict(
                f"The serial line of {guest} is open elsewhere.",
                hint="It has one listener at a time: another command line, or a canary's checks. Close that one first.",
            )
