# SPDX-License-Identifier: MIT
"""The labs as they are now, read once for all browsers that ask at the same time; each sees the part that is theirs."""

from __future__ import annotations

import contextlib
import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from flask import Response, g, request

from labvirt.contracts.engine import Presence
from labvirt.domain.reach import EVERYWHERE, Reach
from labvirt.domain.right import Right
from labvirt.domain.terminal import Stranger
from labvirt.errors import NotFound
from labvirt.usecases import inspect
from labvirt.usecases.inspect import LabView, Overview
from labvirt.usecases.ports import Ports
from labvirt.web.published import Published
from labvirt.web.ui.layout import may
from labvirt.web.ui.recent import Recent

OLDEST_SECONDS = 1.0
"""So old may be what a browser is shown of a lab of which nothing was published: many browsers cost one look. A lab of which something
was is read again by itself."""
ENGINE_SECONDS = 0.1
"""So long a page waits for a look at all labs, which asks the engine. Later it shows those that have changed as they are, and the others,
who waits for a start, and leases as they were; but never LATEST_SECONDS ago."""
LATEST_SECONDS = 30.0
PATIENCE_SECONDS = 10.0


class Looking:
    """Reads as the process itself, and gives to each caller only what its grants allow."""

    def __init__(self, ports: Ports, published: Published) -> None:
        self._ports = ports
        self._published = published
        self._acts = 0
        self._wholes = 0
        self._whole: tuple[float, int] = (float("-inf"), 0)
        """When all labs were read together (monotonic), and how many acts there had been then."""
        self._last: tuple[Overview, int] | None = None
        """And the revision that it was read after."""
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="looking")
        self._going: Future[Overview] | None = None
        self._recent: Recent[Overview] = Recent(ports.clock, seconds=OLDEST_SECONDS, patience=PATIENCE_SECONDS)

    def overview(self) -> Overview:
        """Of the labs that the request's caller may look at. Raises DatabaseError, Exhausted."""
        seen = self._recent.get(self._make, self._published.revision("") + self._acts + self._wholes + self._is_old())
        caller = g.ports.caller
        if caller.may(Right.LOOK, None):
            return seen if may(Right.SEATS) else replace(seen, strangers=())
        shown = tuple(lab for lab in seen.labs if caller.may(Right.LOOK, lab.lab.name))
        strangers = tuple(each for each in seen.strangers if _where(seen, each).seen_by(caller)) if may(Right.SEATS) else ()
        engine = seen.engine
        if engine is not None:
            own = {seat.guest.name for lab in shown for seat in lab.seats if seat.guest is not None}
            # findings name what belongs to others, and so does the queue
            engine = replace(engine, findings=(), queue=tuple(name for name in engine.queue if name in own))
        return replace(seen, labs=shown, strangers=strangers, engine=engine)

    def acted(self) -> None:
        """Somebody did something just now: whoever looks next sees it, however young the last look is."""
        self._acts += 1

    def lab(self, name: str) -> tuple[Overview, LabView]:
        """Raises NotFound, also for a lab that the caller may not look at."""
        seen = self.overview()
        found = next((lab for lab in seen.labs if lab.lab.name == name), None)
        if found is None:
            raise NotFound("lab", name)
        return seen, found

    def _is_old(self) -> bool:
        return self._ports.clock.monotonic() - self._whole[0] >= OLDEST_SECONDS

    def _make(self) -> Overview:
        """By one thread at a time."""
        whole_at, acts = self._whole
        if self._last is None or self._acts != acts or self._ports.clock.monotonic() - whole_at >= LATEST_SECONDS:
            return self._look_at_all()
        if self._is_old():
            with contextlib.suppress(TimeoutError):
                return self._begin().result(ENGINE_SECONDS)
        (before, seen), revision = self._last, self._published.revision("")
        made = inspect.overview(self._ports, self._presences(), before=before, changed=self._published.labs_since(seen))
        self._last = (made, revision)
        return made

    def _begin(self) -> Future[Overview]:
        """A look at all labs that goes on by itself; the one that goes on already, if there is one."""
        if self._going is None or self._going.done():
            self._going = self._pool.submit(self._look_at_all)
        return self._going

    def _look_at_all(self) -> Overview:
        """What is told or done meanwhile is looked at again by who comes next."""
        acts, revision, now = self._acts, self._published.revision(""), self._ports.clock.monotonic()
        made = inspect.overview(self._ports, self._presences())
        self._last, self._whole = (made, revision), (now, acts)
        self._wholes += 1
        return made

    def _presences(self) -> dict[str, Presence]:
        return {change.guest.name: change.presence for change in self._published.changes()}


def _where(seen: Overview, stranger: Stranger) -> Reach:
    """As usecases/whose.py has it, from what was read already."""
    there = frozenset(lab.lab.name for lab in seen.labs if stranger.address is not None and stranger.address in lab.lab.network.network)
    return Reach(there) if there else EVERYWHERE


def fragment(html: str) -> Response:
    """Part of a page that a browser asks for again and again: nothing is sent while it is the same (ETag)."""
    response = Response(html, mimetype="text/html", headers={"Cache-Control": "private, no-cache", "Vary": "Cookie, Accept-Language"})
    response.set_etag(hashlib.sha256(html.encode()).hexdigest()[:24])
    response.make_conditional(request)
    return response
