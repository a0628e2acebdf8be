# SPDX-License-Identifier: MIT
"""Many HTTP requests at once, each on a connection of its own: one asyncio client, as thin as the standard library allows."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`seconds` from before connecting to the last byte. `status` 0: no answer, `problem` says why."""

    seconds: float
    status: int
    etag: str = ""
    body: bytes = b""
    problem: str = ""


class _Exchange(asyncio.Protocol):
    """One request, one answer with Content-Length or none (304), then closed."""

    def __init__(self, request: bytes, done: asyncio.Future[bytes]) -> None:
        self._request = request
        self._done = done
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if end and len(body) >= int(_header(head, b"content-length") or 0):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("closed without an answer"))

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(self._heard)
        self._transport.close()


def burst(door: tuple[str, int], requests: Sequence[bytes], *, timeout: float = 60) -> list[Reply]:
    """All at once; the answers in the order of the requests."""
    allow_connections(len(requests))

    async def all_of_them() -> list[Reply]:
        return await asyncio.gather(*(_one(door, request, timeout) for request in requests))

    return asyncio.run(all_of_them())


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


async def _one(door: tuple[str, int], request: bytes, timeout: float) -> Reply:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[bytes] = loop.create_future()
    began = time.perf_counter()
    try:
        async with asyncio.timeout(timeout):
            await loop.create_connection(lambda: _Exchange(request, done), *door)
            heard = await done
    except (OSError, TimeoutError) as error:
        done.cancel()
        return Reply(seconds=time.perf_counter() - began, status=0, problem=f"{type(error).__name__}: {error}")
    head, _, body = heard.partition(b"\r\n\r\n")
    return Reply(
        seconds=time.perf_counter() - began,
        status=int(head.split(b" ", 2)[1]),
        etag=_header(head, b"etag").decode("latin-1"),
        body=body,
    )


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip()
    return b""
