# SPDX-License-Identifier: MIT
"""Many HTTP requests at once, each on a connection of its own: one thread and epoll, so that the client is as little of the answer's time
as Python allows (40 microseconds a request; asyncio takes five times that, and a storm would measure its client).
"""

from __future__ import annotations

import contextlib
import errno
import resource
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

LOOK_EVERY = 16
"""After so many new connections the client looks for answers."""
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`seconds` from before connecting to the last byte. `status` 0: no answer, `problem` says why."""

    seconds: float
    status: int
    etag: str = ""
    body: bytes = b""
    problem: str = ""


class _Exchange:
    """One request, one answer with Content-Length or none (304), then closed."""

    __slots__ = ("began", "heard", "number", "request", "socket")

    def __init__(self, number: int, door: tuple[str, int], request: bytes) -> None:
        self.number = number
        self.request = request
        self.heard = b""
        self.began = time.perf_counter()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if (code := self.socket.connect_ex(door)) not in (0, errno.EINPROGRESS):
            raise OSError(code, "connect")

    def go_on(self, event: int) -> bool:
        """Is it over? Raises OSError."""
        if event & select.EPOLLERR:
            raise OSError(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "connect")
        if event & select.EPOLLOUT and self.request:
            self.request = self.request[self.socket.send(self.request) :]
        if not event & (select.EPOLLIN | select.EPOLLHUP):
            return False
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionResetError("closed without an answer")
        self.heard += piece
        head, end, body = self.heard.partition(b"\r\n\r\n")
        return bool(end) and len(body) >= int(_header(head, b"content-length") or 0)


class _Burst:
    def __init__(self, door: tuple[str, int], count: int) -> None:
        self._door = door
        self._epoll = select.epoll(count + 1)
        self._open: dict[int, _Exchange] = {}
        self.replies: dict[int, Reply] = {}

    def begin(self, number: int, request: bytes) -> None:
        exchange: _Exchange | None = None
        began = time.perf_counter()
        try:
            exchange = _Exchange(number, self._door, request)
            descriptor = exchange.socket.fileno()
            with contextlib.suppress(BlockingIOError):
                exchange.go_on(select.EPOLLOUT)  # over loopback it is connected already
            self._open[descriptor] = exchange
            self._epoll.register(descriptor, select.EPOLLIN | (select.EPOLLOUT if exchange.request else 0))
        except OSError as error:
            self.replies[number] = Reply(seconds=time.perf_counter() - began, status=0, problem=f"{type(error).__name__}: {error}")
            if exchange is not None:
                exchange.socket.close()

    def look(self, seconds: float) -> None:
        for descriptor, event in self._epoll.poll(seconds):
            exchange = self._open[descriptor]
            try:
                over = exchange.go_on(event)
            except OSError as error:
                self._end(descriptor, f"{type(error).__name__}: {error}")
                continue
            if over:
                self._end(descriptor, "")
            elif event & select.EPOLLOUT and not exchange.request:
                self._epoll.modify(descriptor, select.EPOLLIN)

    def _end(self, descriptor: int, problem: str) -> None:
        exchange = self._open.pop(descriptor)
        seconds = time.perf_counter() - exchange.began
        self._epoll.unregister(descriptor)
        exchange.socket.close()
        self.replies[exchange.number] = _failed(seconds, problem) if problem else _read(seconds, exchange.heard)

    def give_up(self) -> None:
        """Those that have no answer yet have none."""
        for descriptor in tuple(self._open):
            self._end(descriptor, "TimeoutError: no answer in time")

    @property
    def waits(self) -> bool:
        return bool(self._open)

    def close(self) -> None:
        self.give_up()
        self._epoll.close()


def burst(door: tuple[str, int], requests: Sequence[bytes], *, timeout: float = 60, over: float = 0.0) -> list[Reply]:
    """All as fast as one thread can ask, or evenly over so many seconds; the answers in the order of the requests. `timeout` counts from
    the last request."""
    allow_connections(len(requests))
    going = _Burst(door, len(requests))
    try:
        first = time.perf_counter()
        for number, request in enumerate(requests):
            due = first + over * number / len(requests)
            while over and (pause := due - time.perf_counter()) > 0:
                going.look(pause)
            going.begin(number, request)
            if number % LOOK_EVERY == 0:
                going.look(0)
        deadline = time.perf_counter() + timeout
        while going.waits and time.perf_counter() < deadline:
            going.look(LOOK_SECONDS)
    finally:
        going.close()
    return [going.replies[number] for number in range(len(requests))]


def request(door: tuple[str, int], target: str, *, etag: str = "") -> bytes:
    """A GET that asks for the connection to be closed."""
    known = f"If-None-Match: {etag}\r\n" if etag else ""
    return f"GET {target} HTTP/1.1\r\nHost: {door[0]}:{door[1]}\r\nConnection: close\r\n{known}\r\n".encode("ascii")


def allow_connections(count: int) -> None:
    """So many sockets may be open, and a few hundred more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 512
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _failed(seconds: float, problem: str) -> Reply:
    return Reply(seconds=seconds, status=0, problem=problem)


def _read(seconds: float, heard: bytes) -> Reply:
    head, _, body = heard.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    return Reply(seconds=seconds, status=status, etag=_header(head, b"etag").decode("latin-1"), body=body)


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""
