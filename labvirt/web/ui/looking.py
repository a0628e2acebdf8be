# SPDX-License-Identifier: MIT
"""The labs as they are now, read once for all browsers that ask at the same time; each sees the part that is theirs."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from flask import Response, g, request

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
        acts, revision, last, now = self._acts, self._published.revision(""), self._last, self._ports.clock.monotonic()
        presences = {change.guest.name: change.presence for change in self._published.changes()}
        if last is None or self._is_old() or acts != self._whole[1]:
            made = inspect.overview(self._ports, presences)
            self._whole = (now, acts)
            self._wholes += 1
        else:
            before, seen = last
            made = inspect.overview(self._ports, presences, before=before, changed=self._published.labs_since(seen))
        self._last = (made, revision)
        return made


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
