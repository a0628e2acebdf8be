# SPDX-License-Identifier: MIT
"""GET /terminals/config as a native async route: a held question costs one future, not a thread.

The use case runs in a thread pool; its last answer for the same asker is kept for a moment (pre-rendered), and dropped as soon as
the engine publishes a change of that guest, so a storm of terminals costs one look-up each.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from urllib.parse import parse_qs

from labvirt.contracts.clock import Clock
from labvirt.domain.answer import Status
from labvirt.domain.names import check_terminal_id
from labvirt.errors import Exhausted, InvalidInput, LabVirtError
from labvirt.usecases.asking import Asked
from labvirt.web.asgi import Receive, Scope, Send, header, respond, while_connected
from labvirt.web.errors import retry_after, status_of
from labvirt.web.figures import Questions
from labvirt.web.published import Published
from labvirt.web.terminal.render import Body, Format, parse_format, render, render_error

log = logging.getLogger(__name__)

DEFAULT_WAIT = 20
LONGEST_WAIT = 60
LONGEST_QUERY = 1024
KEPT_SECONDS = 2.0
"""A ready answer may be this old when nothing was published about its guest (an edited profile shows up after that)."""
KEPT_WHILE_WAITING = 0.5
KEPT_AT_MOST = 10_000
STRANGER = "-"
"""Waits under a name that no guest can have: nothing is ever published about who has none."""
LOOK_AGAIN_SECONDS = 5.0
"""A held question looks again this often by itself: not every change (an adoption, an edited profile) is published."""
ASK_SECONDS = 30.0
"""Longest time for one look-up, its turn in the pool included; after that the asker is told to come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`etags` is None without If-None-Match; '*' in it matches every answer (RFC 9110, 13.1.2)."""

    id: str | None
    form: Format
    wait: float
    source: IPv4Address | None
    etags: frozenset[str] | None

    def knows(self, etag: str) -> bool:
        return self.etags is not None and (etag in self.etags or "*" in self.etags)


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
        questions: Questions | None = None,
    ) -> None:
        """`questions` counts them."""
        self._questions = questions
        self._ask = ask
        self._published = published
        self._clock = clock
        self._pool = pool
        self._ca_pem = ca_pem
        self._kept: dict[tuple[str | None, IPv4Address | None], _Kept] = {}
        self._asking: dict[tuple[str | None, IPv4Address | None], asyncio.Future[_Kept]] = {}

    @property
    def open_lookups(self) -> int:
        """Look-ups under way."""
        return len(self._asking)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = scope["method"] == "HEAD"
        form = _form_of_refusals(scope)
        try:
            if scope["method"] not in ("GET", "HEAD"):
                refusal = render_error(InvalidInput("method", "must be GET", hint="Ask with GET /terminals/config."), form)
                await self._told(send, 405, refusal, {"allow": "GET, HEAD"})
                return
            question = parse(scope)
            form = question.form
            body = await while_connected(receive, self._answer(question))
        except LabVirtError as error:
            wait = retry_after(error)
            if status_of(error) >= 500:
                log.warning("a terminal could not be answered: %s", error)
            await self._told(send, status_of(error), render_error(error, form), {"retry-after": str(wait)} if wait else {}, head=head)
            return
        if body is None:
            return
        await self._told(send, 304 if question.knows(body.etag) else 200, body, {"etag": body.etag}, head=head)

    async def _told(self, send: Send, status: int, body: Body, headers: dict[str, str], *, head: bool = False) -> None:
        if self._questions is not None:
            self._questions.answered(status)
        await _tell(send, status, body, headers, head=head)

    async def _answer(self, question: Question) -> Body:
        """The answer, held as the protocol page says."""
        deadline = self._clock.monotonic() + question.wait
        while True:
            kept = await self._look(question.id, question.source)
            body = kept.bodies.get(question.form)
            if body is None:
                body = kept.bodies[question.form] = render(kept.asked.answer, question.form, self._ca_pem)
            settled = kept.asked.answer.status.final if question.etags is None else not question.knows(body.etag)
            rest = deadline - self._clock.monotonic()
            if settled or rest <= 0 or self._published.closed():
                return body
            guest = kept.asked.answer.guest
            step = min(rest, LOOK_AGAIN_SECONDS)
            await self._published.wait(guest or STRANGER, kept.revision, step)

    async def _look(self, id: str | None, source: IPv4Address | None) -> _Kept:
        key = (id, source)
        now = self._clock.monotonic()
        kept = self._kept.get(key)
        if kept is not None and now < kept.until and self._published.revision(kept.asked.answer.guest or STRANGER) <= kept.revision:
            return kept
        running = self._asking.get(key)
        if running is None:
            running = asyncio.ensure_future(self._ask_now(key))
            self._asking[key] = running
            running.add_done_callback(lambda _: self._asking.pop(key, None))
        try:
            # Shielded: others may wait for the same look-up, and a use case in a thread cannot be cut anyway.
            return await asyncio.wait_for(asyncio.shield(running), ASK_SECONDS)
        except TimeoutError as error:
            raise Exhausted("answers", "The controller is asked more than it can answer now.", hint="Ask again in a moment.") from error

    async def _ask_now(self, key: tuple[str | None, IPv4Address | None]) -> _Kept:
        revision = self._published.revision("")
        began = self._clock.monotonic()
        asked = await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, *key)
        if self._questions is not None:
            self._questions.looked_up(self._clock.monotonic() - began)
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
    except ValueError as error:
        raise InvalidInput("query", "cannot be read", hint="Write it in ASCII, with %XX for everything else in UTF-8.") from error
    for name, values in given.items():
        if name not in ("id", "format", "wait"):
            raise InvalidInput(name[:40], "is not a parameter of this question", hint="Known: id, format, wait.")
        if len(values) > 1:
            raise InvalidInput(name, "is given twice")
    form = parse_format(given["format"][0]) if "format" in given else Format.PLAIN
    return Question(
        id=check_terminal_id(given["id"][0]) if "id" in given else None,
        form=form,
        wait=_wait(given["wait"][0]) if "wait" in given else DEFAULT_WAIT,
        source=source_of(scope),
        etags=_etags(header(scope, b"if-none-match")),
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


def _etags(text: str) -> frozenset[str] | None:
    """Weak comparison (RFC 9110, 8.8.3.2): W/ does not count."""
    tags = (tag.strip().removeprefix("W/") for tag in text.split(","))
    return frozenset(tag for tag in tags if tag) or None


def _form_of_refusals(scope: Scope) -> Format:
    """The asked form, for a question that cannot be read otherwise."""
    return Format.JSON if b"format=json" in scope.get("query_string", b"").split(b"&") else Format.PLAIN


async def _tell(send: Send, status: int, body: Body, headers: dict[str, str], *, head: bool = False) -> None:
    told = {"cache-control": "no-cache", **headers}
    if status != 304:
        told["content-type"] = body.media_type
    await respond(send, status, body.content, told, head=head)
