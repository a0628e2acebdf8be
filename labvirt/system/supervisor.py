# SPDX-License-Identifier: MIT
"""Keeping a few programs running: sockets bound once and handed on, each program restarted alone, all of them ended
together.

What the programs are is not known here.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labvirt.errors import HostNotReady, InvalidInput
from labvirt.system.files import read_tail
from labvirt.system.privileges import ends_with_parent
from labvirt.system.sockets import listen_unix
from labvirt.system.spawn import Child

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A program that ran so long begins with short pauses again."""
UP_SECONDS = 10.0
"""A program that ends with a hopeless code before it ever ran so long ends everything."""
HOPELESS = (2, 3)
"""Exit codes that mean: trying again does not help (wrong use, the host is not able)."""
LOG_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """`log` takes its output; it grows to 16 MiB, then the older half of what was written is in `log`.1."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    descriptors: tuple[int, ...] = ()
    grace_seconds: float = 10.0


@dataclass(slots=True)
class _Kept:
    program: Program
    child: Child | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    was_up: bool = field(default=False)


def bind(where: str) -> socket.socket:
    """A bound socket (not yet listening, but for unix:) for HOST:PORT or unix:PATH. Raises InvalidInput,
    HostNotReady (the port is in use, the address is not ours, no right).
    """
    if where.startswith("unix:"):
        path = Path(where.removeprefix("unix:"))
        try:
            return listen_unix(path, mode=0o660)
        except OSError as error:
            raise HostNotReady(f"The socket {path} cannot be made: {error.strerror}.", hint="Choose another path.") from error
    host, _, port = where.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and 0 <= int(port) <= 65535):
        raise InvalidInput("listen", f"{where[:80]!r} is not HOST:PORT", hint="For example 0.0.0.0:8080, [::]:8080, unix:/run/labvirt.sock")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise InvalidInput("listen", f"{host[:80]!r} is not an address of this host") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen()  # two may bind one port, only one may listen: know it now
    except OSError as error:
        listener.close()
        raise _cannot_bind(where, port, error) from error
    return listener


def _cannot_bind(where: str, port: str, error: OSError) -> HostNotReady:
    if error.errno == errno.EADDRINUSE:
        return HostNotReady(
            f"{where} is in use by another program.",
            hint=f"See by whom: ss -ltnp 'sport = :{port}'. Or choose another one: --listen HOST:PORT",
        )
    if error.errno == errno.EACCES:
        return HostNotReady(
            f"Listening on {where} needs a right this user does not have.", hint="Choose a port above 1023: --listen HOST:PORT"
        )
    return HostNotReady(f"Listening on {where} does not work: {error.strerror}.", hint="Choose another one: --listen HOST:PORT")


def supervise(programs: Sequence[Program]) -> int:
    """All programs run until SIGTERM or SIGINT, each restarted alone when it ends, with pauses of 0.5 to 30 s. Then,
    and when this process is killed, they get SIGTERM. Gives 0, or the code of a program that says at its first start
    that it is hopeless.

    Call it on the main thread: children end with the thread that started them.
    """
    kept = [_Kept(program) for program in programs]
    with _signals() as wake:
        try:
            while True:
                now = time.monotonic()
                for each in kept:
                    if each.child is None and each.due <= now:
                        _start(each, now)
                    elif each.child is not None and now - each.started >= UP_SECONDS:
                        each.was_up = True
                pauses = [each.due - now for each in kept if each.child is None] or [UP_SECONDS]
                children = {each.child.fileno(): each for each in kept if each.child is not None}
                ready, _, _ = select.select([wake, *children], [], [], max(0.0, min(pauses)))
                if wake in ready:
                    return 0
                for number in ready:
                    code = _ended(children[number])
                    if code is not None:
                        return code
        finally:
            _end(kept)


def _start(each: _Kept, now: float) -> None:
    program = each.program
    _turn(program.log)
    try:
        each.child = Child((*ends_with_parent(), *program.argv), descriptors=program.descriptors, env=program.env, log=program.log)
    except OSError as error:
        raise HostNotReady(
            f"{program.argv[0]} cannot be started: {error.strerror}.", hint="Install it: apt-get install util-linux"
        ) from error
    each.started = now


def _ended(each: _Kept) -> int | None:
    """Note when it is due again; its code if that would be hopeless."""
    assert each.child is not None
    code = each.child.wait()
    each.child.close()
    each.child = None
    now = time.monotonic()
    lived = now - each.started
    words = read_tail(each.program.log, 600).strip().splitlines()
    said = words[-1].strip() if words else "it said nothing"
    if code in HOPELESS and not each.was_up and lived < UP_SECONDS:
        log.error("%s cannot run (code %s): %s", each.program.name, code, "\n".join(words[-2:]) or said)
        return code
    each.failures = 0 if lived >= SETTLED_SECONDS else each.failures + 1
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(each.failures, 10), LONGEST_PAUSE_SECONDS)
    each.due = now + pause
    log.warning("%s ended (code %s) and starts again in %.1f s; its last words: %s", each.program.name, code, pause, said)
    return None


def _end(kept: Sequence[_Kept]) -> None:
    for each in reversed(kept):
        if each.child is not None:
            each.child.stop(grace_seconds=each.program.grace_seconds)
            each.child.close()
            each.child = None


def _turn(path: Path) -> None:
    """A log that has grown too long becomes `.1`."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_BYTES:
            os.replace(path, path.with_name(path.name + ".1"))


@contextlib.contextmanager
def _signals() -> Iterator[int]:
    """A descriptor that becomes readable with SIGTERM or SIGINT."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def heard(_number: int, _frame: object) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(writing, b".")

    before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield reading
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
