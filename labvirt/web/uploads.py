# SPDX-License-Identifier: MIT
"""Uploads over HTTP (docs/reference: uploads): begin, ask where it is, send the next piece, finish, give up.

Small requests are Flask's, behind the guard of all pages. A piece is a native route: its body goes to the disk as it comes, a
megabyte in memory at most, and a client that is slow holds no thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from flask import Blueprint, Response, g, request

from labvirt.contracts.uploads import Writing
from labvirt.errors import Conflict, Exhausted, InvalidInput, LabVirtError, MustEnrol, NotAllowed
from labvirt.usecases import uploads
from labvirt.usecases.ports import Ports
from labvirt.usecases.uploads import UploadView
from labvirt.web.asgi import Receive, Scope, Send, header, respond
from labvirt.web.errors import retry_after, status_of
from labvirt.web.terminal.render import as_json
from labvirt.web.ui import guard
from labvirt.web.ui.guard import Guard

OFFSET = "Upload-Offset"
PIECE_BYTES = 1 << 20
"""Written to the disk at a time."""
SYNC_BYTES = 64 << 20
"""A long piece is made durable so often."""
SILENCE_SECONDS = 30.0
"""A sender that is silent for so long is let go; what came is kept."""
ASKED_AGAIN_SECONDS = 20.0
"""So often it is looked up whether the sender is still somebody, and may still send."""
MOST_AT_ONCE = 16
FINISHING_AT_ONCE = 2
"""Reading a whole file for its checksum takes a thread of the pages for a while."""


def blueprint() -> Blueprint:
    """All but the pieces themselves. Answers are JSON."""
    routes = Blueprint("uploads", __name__, url_prefix="/uploads")
    finishing = threading.BoundedSemaphore(FINISHING_AT_ONCE)

    @routes.post("")
    def begin() -> Response:
        told = _told()
        made = uploads.begin(
            g.ports,
            name=_text(told, "name"),
            format=_text(told, "format"),
            size_bytes=_whole(told, "size"),
            sha256=_text(told, "sha256", ""),
            note=_text(told, "note", ""),
            publish=_text(told, "publish", "true").lower() in ("true", "yes", "1"),
            by=g.ports.caller.name,
        )
        view = UploadView(upload=made, job=None)
        return _answer(as_told(view), 201, {"Location": f"/uploads/{made.id}", OFFSET: "0"})

    @routes.get("")
    def everything() -> Response:
        return _answer({"uploads": [as_told(each) for each in uploads.everything(g.ports)]})

    @routes.get("/<id>")
    def one(id: str) -> Response:
        view = uploads.one(g.ports, id)
        return _answer(as_told(view), 200, {OFFSET: str(view.upload.offset), "Upload-Length": str(view.upload.size_bytes)})

    @routes.post("/<id>/finish")
    def finish(id: str) -> Response:
        if not finishing.acquire(blocking=False):
            raise Exhausted("threads", "Other uploads are just being checked.", hint="Try again in a moment.")
        try:
            job = uploads.finish(g.ports, id, sha256=_text(_told(), "sha256", ""), by=g.ports.caller.name)
        finally:
            finishing.release()
        return _answer({"id": id, "job": job.number, "state": str(job.state)}, 202)

    @routes.delete("/<id>")
    def give_up(id: str) -> Response:
        uploads.give_up(g.ports, id)
        return Response(status=204)

    return routes


def as_told(view: UploadView) -> dict[str, object]:
    """An upload as clients read it."""
    upload = view.upload
    return {
        "id": upload.id,
        "name": upload.name,
        "format": upload.format,
        "size": upload.size_bytes,
        "offset": upload.offset,
        "sha256": upload.sha256,
        "note": upload.note,
        "publish": upload.publish,
        "by": upload.by,
        "made_at": upload.made_at.isoformat(),
        "job": view.job.number if view.job else None,
    }


HEARD_SECONDS = 1.0


class PieceRoute:
    """PATCH /uploads/ID with `Upload-Offset: N`: the body lies behind the first N bytes afterwards, durably: 204 with the new offset.

    409 (with the real offset) when the upload does not end at N or somebody else writes it. A body that is cut off is kept up to there.
    """

    def __init__(self, ports: Ports, at_door: Guard) -> None:
        self._ports = ports
        self._guard = at_door
        self.pool = ThreadPoolExecutor(4, thread_name_prefix="upload")
        self._open = 0

    @staticmethod
    def serves(scope: Scope) -> bool:
        return bool(scope["method"] == "PATCH" and scope["path"].startswith("/uploads/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        id = scope["path"].removeprefix("/uploads/")
        try:
            offset = self._may(scope)
            ports = await self._on_behalf(scope)
        except LabVirtError as error:
            # A small piece is heard first: a connection that is closed over unread bytes is reset, and the answer is lost with it.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(receive(), HEARD_SECONDS)
            await self._refuse(id, error, scope, send)
            return
        try:
            self._open += 1
            try:
                reached = await self._take(ports, id, offset, scope, receive)
            finally:
                self._open -= 1
        except LabVirtError as error:
            await self._refuse(id, error, scope, send)
            return
        if reached is not None:
            await respond(send, 204, b"", {OFFSET.lower(): str(reached), "cache-control": "no-store"})

    def _may(self, scope: Scope) -> int:
        """This is a piece; gives the offset. Raises NotAllowed, InvalidInput, Exhausted."""
        told = {name: header(scope, name.encode()) or None for name in ("sec-fetch-site", "origin", "host")}
        guard.check_sender("PATCH", told["sec-fetch-site"], told["origin"], told["host"] or "")
        text = header(scope, OFFSET.lower().encode())
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise InvalidInput(OFFSET, "must be a header with the number of bytes that are there", hint="Ask first: HEAD /uploads/ID")
        if self._open >= MOST_AT_ONCE:
            raise Exhausted("connections", "Too many pieces are being sent at once.", hint="Try again in a moment.")
        return int(text)

    async def _on_behalf(self, scope: Scope) -> Ports:
        """The doors for whoever sends, who is somebody. Raises NotSignedIn."""
        caller = await asyncio.get_running_loop().run_in_executor(self.pool, lambda: self._guard.caller_of_scope(scope, touch=True))
        if not guard.is_somebody(caller):
            raise guard.NOT_SIGNED_IN
        if caller.owes_factor:
            raise MustEnrol
        return self._ports.on_behalf_of(caller)

    async def _take(self, ports: Ports, id: str, offset: int, scope: Scope, receive: Receive) -> int | None:
        """The offset afterwards; None when the sender has gone. What came is kept, also when the sender is nobody any more or lost the
        right meanwhile: NotSignedIn, NotAllowed."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        writing = _Piece(lambda: uploads.write(ports, id, offset))
        await loop.run_in_executor(self.pool, writing.open)
        whole = False
        try:
            while True:
                try:
                    message = await asyncio.wait_for(receive(), SILENCE_SECONDS)
                except TimeoutError:
                    break
                if message["type"] == "http.disconnect":
                    break
                writing.add(message.get("body", b""))
                whole = not message.get("more_body", False)
                if loop.time() - asked >= ASKED_AGAIN_SECONDS:
                    asked = loop.time()
                    now = await self._on_behalf(scope)
                    await loop.run_in_executor(self.pool, uploads.one, now, id)  # the right itself, as it is now
                if whole or writing.is_full:
                    await loop.run_in_executor(self.pool, writing.write)
                if whole:
                    break
            return await loop.run_in_executor(self.pool, writing.finish) if whole else None
        finally:
            await asyncio.shield(loop.run_in_executor(self.pool, writing.close))

    async def _refuse(self, id: str, error: LabVirtError, scope: Scope, send: Send) -> None:
        status = 401 if error is guard.NOT_SIGNED_IN else status_of(error)
        headers = {"content-type": "application/json", "cache-control": "no-store", "connection": "close"}
        if isinstance(error, Conflict) and not isinstance(error, NotAllowed):
            known = await asyncio.get_running_loop().run_in_executor(self.pool, self._offset, id)
            if known is not None:
                headers[OFFSET.lower()] = str(known)
        if status == 401:
            headers |= guard.ASK_FOR_TOKEN
        wait = retry_after(error)
        if wait:
            headers["retry-after"] = str(wait)
        told: dict[str, object] = {"error": {"code": error.code, "sentence": error.sentence, "hint": error.hint}}
        await respond(send, status, as_json(told), headers)

    def _offset(self, id: str) -> int | None:
        try:
            return uploads.one(self._ports, id).upload.offset
        except LabVirtError:
            return None


class _Piece:
    """One body on its way to the disk. Its methods are called one after the other, from any thread."""

    def __init__(self, way: Callable[[], AbstractContextManager[Writing]]) -> None:
        self._way = way
        self._held: AbstractContextManager[Writing] | None = None
        self._writing: Writing | None = None
        self._waiting = bytearray()
        self._unsynced = 0

    def open(self) -> None:
        self._held = self._way()
        self._writing = self._held.__enter__()

    def add(self, data: bytes) -> None:
        self._waiting += data

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= PIECE_BYTES

    def write(self) -> None:
        assert self._writing is not None
        data, self._waiting = bytes(self._waiting), bytearray()
        self._writing.put(data)
        self._unsynced += len(data)
        if self._unsynced >= SYNC_BYTES:
            self._writing.sync()
            self._unsynced = 0

    def finish(self) -> int:
        """Everything is durable; gives the offset."""
        assert self._writing is not None
        self._unsynced = 0
        return self._writing.sync()

    def close(self) -> None:
        """What came and was not written yet (the sender has gone) is kept too, as far as that is possible."""
        if self._writing is None or self._held is None:
            return
        try:
            if self._waiting:
                self.write()
            if self._unsynced:
                self._writing.sync()
        finally:
            self._writing = None
            self._held.__exit__(None, None, None)


def _told() -> Mapping[str, Any]:
    """The request's values, from JSON or a form."""
    if request.mimetype == "application/json":
        told = request.get_json(silent=True)
        if not isinstance(told, dict):
            raise InvalidInput("body", "is not a JSON object")
        return told
    return request.form


def _text(told: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = told.get(field, default)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise InvalidInput(field, "must be text")
    return value


def _whole(told: Mapping[str, Any], field: str) -> int:
    value = told.get(field)
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidInput(field, "must be a number of bytes")
    return int(text)


def _answer(told: dict[str, object], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(as_json(told), status, dict(headers or {}), mimetype="application/json")
