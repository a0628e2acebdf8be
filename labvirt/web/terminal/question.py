# SPDX-License-Identifier: MIT
"""GET /terminals/config as a native async route: a held question costs one future, not a thread.

The use case runs in a thread pool; its last answer for the same asker is kept for a moment (pre-rendered), and dropped as soon as
the engine publishes a change of that guest, so a storm of terminals costs one look-up each.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from typing import Any
from urllib.parse import parse_qs

from labvirt.contracts.clock import Clock
from labvirt.domain.answer import Status
from labvirt.domain.names import check_terminal_id
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.usecases.asking import Asked
from labvirt.web.errors import retry_after, status_of
from labvirt.web.published import Published
from labvirt.web.terminal.render import Body, Format, parse_format, render, render_error

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

DEFAULT_WAIT = 20
LONGEST_WAIT = 60
LONGEST_QUERY = 1024
KEPT_SECONDS = 2.0
"""A ready answer may be this old when nothing was published about its guest (an edited profile shows up after that)."""
KEPT_WHILE_WAITING = 0.5
KEPT_AT_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    id: str | None
    form: Format
    wait: float
    source: IPv4Address | None
    etag: str | None


@dataclass(slots=True)
class _Kept:
    asked: Asked
    revision: int
    until: float
    bodies: dict[Format, Body] = field(default_factory=dict)


class QuestionRoute:
    """`ask` is the use case, bound to its ports; it runs on `pool`."""

    def __init__(
        self,
        *,
        ask: Callable[[str | None, IPv4Address | None], Asked],
        published: Published,
        clock: Clock,
        pool: Executor,
        ca_pem: Callable[[], str],
    ) -> None:
        self._ask = ask
        self._published = published
        self._clock = clock
        self._pool = pool
        self._ca_pem = ca_pem
        self._kept: dict[tuple[str | None, IPv4Address | None], _Kept] = {}
        self._asking: dict[tuple[str | None, IPv4Address | None], asyncio.Future[_Kept]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = Format.JSON if b"format=json" in scope.get("query_string", b"") else Format.PLAIN
        try:
            if scope["method"] not in ("GET", "HEAD"):
                await _respond(send, 405, Body(content=b"status=error\nmessage=Ask with GET.\n", media_type="text/plain"), {"allow": "GET"})
                return
            question = parse(scope)
            form = question.form
            gone = asyncio.ensure_future(_disconnected(receive))
            answering = asyncio.ensure_future(self._answer(question))
            try:
                await asyncio.wait({gone, answering}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    return
                body = answering.result()
            finally:
                gone.cancel()
                answering.cancel()
        except LabVirtError as error:
            wait = retry_after(error)
            await _respond(send, status_of(error), render_error(error, form), {"retry-after": str(wait)} if wait else {})
            return
        if body is None or body.etag == question.etag:
            await _respond(send, 304, Body(content=b"", media_type="text/plain"), {"etag": question.etag or ""})
            return
        await _respond(send, 200, body, {"etag": body.etag}, head=scope["method"] == "HEAD")

    async def _answer(self, question: Question) -> Body:
        """The answer, held as the protocol page says."""
        deadline = self._clock.monotonic() + question.wait
        while True:
            kept = await self._look(question.id, question.source)
            body = kept.bodies.get(question.form)
            if body is None:
                body = kept.bodies[question.form] = render(kept.asked.answer, question.form, self._ca_pem())
            settled = body.etag != question.etag if question.etag is not None else kept.asked.answer.status.final
            rest = deadline - self._clock.monotonic()
            if settled or rest <= 0:
                return body
            guest = kept.asked.answer.guest
            step = min(rest, kept.asked.answer.retry_seconds or rest)
            if guest is None:
                await asyncio.sleep(step)
            else:
                await self._published.wait(guest, kept.revision, step)

    async def _look(self, id: str | None, source: IPv4Address | None) -> _Kept:
        key = (id, source)
        now = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None and now < kept.until and self._published.revision(kept.asked.answer.guest or "-") <= kept.revision:
            return kept
        running = self._asking.get(key)
        if running is None:
            running = asyncio.ensure_future(self._ask_now(key))
            self._asking[key] = running
            running.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(running)

    async def _ask_now(self, key: tuple[str | None, IPv4Address | None]) -> _Kept:
        revision = self._published.revision("")
        asked = await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, *key)
        age = KEPT_SECONDS if asked.answer.status is Status.READY else KEPT_WHILE_WAITING
        kept = _Kept(asked, revision, self._clock.monotonic() + age)
        if len(self._kept) >= KEPT_AT_MOST:
            self._kept.clear()
        self._kept[key] = kept
        return kept


def parse(scope: Scope) -> Question:
    """The question out of an ASGI scope. Raises InvalidInput naming the parameter."""
    query = scope.get("query_string", b"")
    if len(query) > LONGEST_QUERY:
        raise InvalidInput("query", f"must be at most {LONGEST_QUERY} characters")
    try:
        given = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=10, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidInput("query", "cannot be read") from error
    for name, values in given.items():
        if name not in ("id", "format", "wait"):
            raise InvalidInput(name[:40], "is not a parameter of this question", hint="Known: id, format, wait.")
        if len(values) > 1:
            raise InvalidInput(name, "is given twice")
    form = parse_format(given["format"][0]) if "format" in given else Format.PLAIN
    etag = None
    for header, value in scope.get("headers", ()):
        if header == b"if-none-match":
            etag = value.decode("latin-1").strip().removeprefix("W/")
    return Question(
        id=check_terminal_id(given["id"][0]) if "id" in given else None,
        form=form,
        wait=_wait(given["wait"][0]) if "wait" in given else DEFAULT_WAIT,
        source=source_of(scope),
        etag=etag,
    )


def source_of(scope: Scope) -> IPv4Address | None:
    """The peer's IPv4 address; None for a Unix socket or IPv6. Headers that claim another one are never believed."""
    client = scope.get("client")
    if not client:
        return None
    try:
        address = ip_address(client[0])
    except ValueError:
        return None
    if address.version == 6:
        return address.ipv4_mapped
    return address


def _wait(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LONGEST_WAIT:
        raise InvalidInput("wait", f"must be a number of seconds, 0 to {LONGEST_WAIT}")
    return value


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(send: Send, status: int, body: Body, headers: Mapping[str, str], *, head: bool = False) -> None:
    told = {"cache-control": "no-cache", "x-content-type-options": "nosniff", **headers}
    if status != 304:
        told |= {"content-type": body.media_type, "content-length": str(len(body.content))}
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode("latin-1")) for k, v in told.items()]})
    await send({"type": "http.response.body", "body": b"" if head or status == 304 else body.content})
