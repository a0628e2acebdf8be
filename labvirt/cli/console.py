# SPDX-License-Identifier: MIT
"""labvirt console GUEST: its serial line in this terminal, or the way to its screen."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import click

from labvirt.cli import words
from labvirt.cli.session import Command, Session, pass_session
from labvirt.domain.console import ConsoleKind
from labvirt.usecases import consoles

LEAVE = b"\x1d"
"""Ctrl-]."""
CHUNK = 4096


@click.command(cls=Command)
@click.argument("name", type=words.GUEST)
@click.option("--vnc", is_flag=True, help="Print the socket of its screen, and how a VNC viewer gets there from afar.")
@click.option("--view-only", is_flag=True, help="Show what the serial line says; nothing that is typed goes in.")
@pass_session
def console(session: Session, /, name: str, vnc: bool, view_only: bool) -> int | None:
    """The serial line of a guest in this terminal. Ctrl-] leaves it; the guest does not notice.

    From a pipe: what comes in is typed, and the line is read until the pipe and then the guest have nothing more to say.
    """
    if vnc:
        _show_socket(session, name)
        return None
    with session.ports() as ports:
        opened = consoles.open_now(ports, name, ConsoleKind.SERIAL, view_only=view_only)
    with socket.socket(fileno=opened.descriptor) as line:
        line.setblocking(True)
        if sys.stdin.isatty():
            click.echo(f"The serial line of {opened.console.guest}. Ctrl-] leaves it.\r", err=True)
        with _raw():
            over = _talk(line, view_only=view_only)
    if sys.stdin.isatty():
        click.echo("\r\n" + ("The guest has closed it." if over else "You left it."), err=True)
    return None


def _show_socket(session: Session, /, guest: str) -> None:
    from labvirt.config import StatePaths  # pydantic takes its time: not for --help

    with session.ports() as ports:
        run = consoles.run_of(ports, guest)
    path = StatePaths(session.state).runs / str(run) / "vnc.sock"
    host = session.app.host_name
    session.show(
        {"guest": guest, "run": str(run), "socket": str(path)},
        [
            str(path),
            "From your desk, with a VNC viewer there (as root: only root may open the run's folder):",
            f"  ssh -N -L 5901:{path} root@{host}",
            "  vncviewer localhost:5901",
            "It shows this run only. In a browser, without any of this: the guest's page, Console.",
        ],
    )


def _talk(line: socket.socket, *, view_only: bool) -> bool:
    """Until somebody ends it; True: the guest did. A guest that takes nothing does not keep Ctrl-] from working."""
    ears = [line, sys.stdin.fileno()]
    waiting = b""
    while True:
        readable, writable, _ = select.select(ears, [line] if waiting else [], [])
        if line in readable:
            try:
                said = line.recv(CHUNK)
            except ConnectionError:
                said = b""
            if not said:
                return True
            _print(said)
        if line in writable:
            waiting = waiting[line.send(waiting, socket.MSG_DONTWAIT) :]
        if sys.stdin.fileno() in readable:
            typed = os.read(sys.stdin.fileno(), CHUNK)
            before, left, _ = typed.partition(LEAVE)
            waiting += b"" if view_only else before
            if (left and sys.stdin.isatty()) or not typed:
                return _last_words(line, waiting)
            waiting = waiting[-64 * CHUNK :]


QUIET_SECONDS = 1.0


def _last_words(line: socket.socket, waiting: bytes) -> bool:
    """What was typed goes in, and what the guest answers at once is shown; a person at a terminal waits for neither."""
    if sys.stdin.isatty():
        return False
    line.settimeout(QUIET_SECONDS)
    try:
        line.sendall(waiting)
        while said := line.recv(CHUNK):
            _print(said)
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


def _print(said: bytes) -> None:
    sys.stdout.buffer.write(said)
    sys.stdout.buffer.flush()


@contextmanager
def _raw() -> Iterator[None]:
    """Keys go through as they are typed, Ctrl-C too."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
