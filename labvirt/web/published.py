# SPDX-License-Identifier: MIT
"""What the engine publishes, as this process last heard it, and waking up those who wait for a change.

One thread listens to `EngineLink.watch`; everything else runs on the event loop. When the engine is away the last words stay:
terminals keep hearing about desktops that run on without a controller.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import defaultdict
from datetime import datetime

from labvirt.contracts.engine import Change, EngineLink
from labvirt.errors import LabVirtError

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


class Published:
    """Read from any thread; waited for on the event loop only."""

    def __init__(self, engine: EngineLink) -> None:
        self._engine = engine
        self._changes: dict[str, Change] = {}
        self._revision = 0
        self._revisions: dict[str, int] = {}
        self._labs: dict[str, int] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._away = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen; called once, when the event loop runs."""
        self._loop = loop
        threading.Thread(target=self._listen, name="engine-watch", daemon=True).start()

    def close(self) -> None:
        """Nobody is held any more, and nobody will be. Called on the event loop."""
        self._stop.set()
        for key in tuple(self._waiters):
            self._wake(key)

    def closed(self) -> bool:
        return self._stop.is_set()

    def change(self, guest: str) -> Change | None:
        return self._changes.get(guest)

    def flow_since(self, guest: str) -> datetime | None:
        """Since when somebody has been connected to its display or its RDP; None when nobody is, or nobody knows."""
        change = self._changes.get(guest)
        seen = change is not None and (change.presence.display or change.presence.flow)
        return change.presence.since if change is not None and seen else None

    def changes(self) -> tuple[Change, ...]:
        return tuple(self._changes.values())

    def revision(self, guest: str) -> int:
        """Grows with every change of this guest; revision('') with every change of anything, and is never smaller: read that one
        before asking for a guest whose name the answer will tell, then `wait` for the guest."""
        return self._revisions.get(guest, 0) if guest else self._revision

    def labs_since(self, seen: int) -> frozenset[str]:
        """The labs of whose guests something was told after `seen`, a revision('')."""
        return frozenset(lab for lab, revision in tuple(self._labs.items()) if revision > seen)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(len(futures) for futures in self._waiters.values())

    async def wait(self, guest: str, seen: int, seconds: float) -> bool:
        """True as soon as the guest has a revision above `seen` (or this is closed), False after `seconds`."""
        if self.revision(guest) > seen or self.closed():
            return True
        if seconds <= 0:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[guest].add(future)
        try:
            await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return False
        finally:
            waiting = self._waiters.get(guest)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiters[guest]
        return True

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                for change in self._engine.watch():
                    if self._away:
                        log.info("engine: it answers again")
                    self._away = False
                    self._tell(change)
                    if self._stop.is_set():
                        return
            except LabVirtError as error:
                if not self._away:
                    log.warning("engine: %s", error)
                self._away = True
            except Exception:
                # A mistake of ours must not end the page's and the terminals' news for ever: it is logged, and we listen again.
                log.exception("engine: its words could not be understood")
            self._stop.wait(RETRY_SECONDS)

    def _tell(self, change: Change) -> None:
        if self._loop is None or self._stop.is_set():
            return
        with contextlib.suppress(RuntimeError):  # the loop was closed a moment ago: the process ends
            self._loop.call_soon_threadsafe(self._note, change)

    def _note(self, change: Change) -> None:
        name = change.guest.name
        if self._changes.get(name) == change:
            return
        self._changes[name] = change
        self._labs[change.guest.lab] = self._revisions[name] = self._revision + 1
        self._revision += 1  # last: who reads it in another thread finds everything that it counts
        for key in (name, ""):
            self._wake(key)

    def _wake(self, key: str) -> None:
        for future in self._waiters.pop(key, ()):
            if not future.done():
                future.set_result(None)
