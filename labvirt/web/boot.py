# SPDX-License-Identifier: MIT
"""GET /boot/NAME: what a PC starts with, for everybody in a lab's network, as a native async route: a slow PC costs one open file.

Firmware and boot loaders ask in their own ways: GRUB with two slashes, shim for files that are not there, UEFI first with HEAD. And GRUB
2.12 knows the names of headers only in this spelling (grub-core/net/http.c, parse_line), whatever RFC 9110, 5.1 says: h11 keeps it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from labvirt.contracts.kiosk import BootFolders
from labvirt.domain.kiosk import MANIFEST, MENU, BootFile, menu
from labvirt.errors import InvalidInput, LabVirtError, NotFound
from labvirt.web.asgi import Receive, Scope, Send, header, respond, while_connected
from labvirt.web.errors import status_of

T = TypeVar("T")

THREADS = 4
BLOCK_BYTES = 256 * 1024
PLAIN = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}

_RANGE = re.compile(r"bytes=(?:([0-9]{1,15})-([0-9]{0,15})|-([0-9]{1,15}))\Z", re.ASCII)
"""One range (RFC 9110, 14.1.2). Several at once may be answered with the whole file (14.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes `first` up to, but without, `end`."""

    first: int
    end: int


class BootRoute:
    """`folders` is asked anew for each file: a kiosk that is built meanwhile is what the next asker gets, and whole."""

    def __init__(self, folders: BootFolders) -> None:
        self._folders = folders
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="boot")

    @staticmethod
    def serves(scope: Scope) -> bool:
        return _path(scope).startswith(("/boot/", f"/{MENU}"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, b"Only GET and HEAD.\n", {**PLAIN, "Allow": "GET, HEAD"})
            return
        head = scope["method"] == "HEAD"
        try:
            # When a PC is switched off while it fetches, nothing is read for it any more.
            await while_connected(receive, self._tell(_path(scope).removeprefix("/boot/"), scope, send, head=head))
        except NotFound:
            await respond(send, 404, b"There is no such boot file.\n", PLAIN, head=head)
        except LabVirtError as error:
            await respond(send, status_of(error), f"{error}\n".encode(), PLAIN, head=head)

    async def _tell(self, name: str, scope: Scope, send: Send, *, head: bool) -> None:
        if name.endswith(MENU):
            await respond(send, 200, await self._in_thread(self._menu, scope), PLAIN, head=head)
        elif name == MANIFEST:
            await respond(send, 200, await self._in_thread(self._manifest), {**PLAIN, "Content-Type": "application/json"}, head=head)
        else:
            await self._file(name, scope, send, head=head)

    async def _file(self, name: str, scope: Scope, send: Send, *, head: bool) -> None:
        opened = self._folders.open(name)
        file, stream = await self._in_thread(opened.__enter__)
        try:
            await self._answer(file, stream, scope, send, head=head)
        finally:
            opened.__exit__(None, None, None)

    async def _answer(self, file: BootFile, stream: BinaryIO, scope: Scope, send: Send, *, head: bool) -> None:
        etag = f'"{file.sha256}"'
        told = {"Content-Type": "application/octet-stream", "ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
        if etag in header(scope, b"if-none-match"):
            await respond(send, 304, b"", told)
            return
        wanted = header(scope, b"range")
        if header(scope, b"if-range") not in ("", etag):
            wanted = ""
        try:
            span = span_of(wanted, file.size_bytes)
        except InvalidInput:
            await respond(send, 416, b"", {**told, "Content-Range": f"bytes */{file.size_bytes}"})
            return
        status = 200
        if span is None:
            span = Span(first=0, end=file.size_bytes)
        else:
            status, told["Content-Range"] = 206, f"bytes {span.first}-{span.end - 1}/{file.size_bytes}"
        told["Content-Length"] = str(span.end - span.first)
        headers = [(key.encode(), value.encode()) for key, value in told.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        place = span.end if head else span.first
        while place < span.end:
            block = await self._in_thread(_read, stream, place, min(BLOCK_BYTES, span.end - place))
            if not block:
                raise ConnectionAbortedError(f"{file.name} became shorter while it was sent")
            place += len(block)
            await send({"type": "http.response.body", "body": block, "more_body": place < span.end})
        if head or span.first == span.end:
            await send({"type": "http.response.body", "body": b""})

    def _menu(self, scope: Scope) -> bytes:
        """For GRUB that came by HTTP. The controller is who was asked: the address of the lab's own gateway."""
        found = self._folders.current()
        host, port = (scope.get("server") or ("", None))[:2]
        if found is None or port is None:
            raise NotFound("kiosk", "current")
        return menu(f"http://{host}:{port}/", found.kiosk.image_sha256).encode()

    def _manifest(self) -> bytes:
        """For terminals that start from a stick or disk and want to know what is new."""
        found = self._folders.current()
        if found is None:
            raise NotFound("kiosk", "current")
        files = {file.name: {"size": file.size_bytes, "sha256": file.sha256} for file in found.kiosk.files}
        return json.dumps({"version": found.kiosk.version, "files": files}, indent=1).encode()

    async def _in_thread(self, work: Callable[..., T], *words: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.pool, work, *words)


def span_of(wanted: str, size: int) -> Span | None:
    """The part that a Range header asks for; None for the whole. Raises InvalidInput when no byte of the file is in it (416)."""
    found = _RANGE.match(wanted)
    if found is None:
        return None
    if found[3] is not None:
        first, end = max(0, size - int(found[3])), size
    else:
        first, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
        if found[2] and int(found[2]) < first:
            return None
    if first >= end:
        raise InvalidInput("range", f"must be within {size} bytes")
    return Span(first=first, end=end)


def _path(scope: Scope) -> str:
    return re.sub("/{2,}", "/", scope["path"])


def _read(stream: BinaryIO, place: int, size: int) -> bytes:
    return os.pread(stream.fileno(), size, place)
