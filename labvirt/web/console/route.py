# SPDX-License-Identifier: MIT
"""The WebSocket /console: whose page it is, the ticket in the first message, the guest's end, and, while it is open, whether it may be."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

from labvirt.domain.caller import Caller
from labvirt.domain.console import Console, ConsoleKind
from labvirt.errors import EngineAway, Exhausted, GuestNotReady, LabVirtError, NotAllowed
from labvirt.usecases import consoles
from labvirt.usecases.ports import Ports
from labvirt.web.asgi import Receive, Scope, Send, header
from labvirt.web.console import relay
from labvirt.web.console.browser import Browser, Ended, Ending
from labvirt.web.console.guest_end import GuestEnd
from labvirt.web.console.serial_lines import SerialLines
from labvirt.web.ui import guard

T = TypeVar("T")

log = logging.getLogger(__name__)

PATH = "/console"
THREADS = 4
"""For short looks into the database; as many more for opening, where a guest may keep us waiting."""
CHECK_SECONDS = 15.0
"""So often an open console is asked whether its person is still signed in and still may. Ends are seen at most 30 s late."""
CHECK_AGAIN_SECONDS = 10.0
"""When the database does not answer, once more; then the console is closed."""
OPEN_SECONDS = 20.0
PER_PERSON = 64
MOST = 256

SIGNED_OUT = "You are not signed in any more."

Who = Callable[[Scope], Caller | None]
"""Who asks, by the cookie; None when nobody is signed in. Called from threads."""


class ConsoleRoute:
    """`open` counts who is connected; each costs two tasks and no thread."""

    def __init__(self, ports: Ports, who: Who) -> None:
        self._ports = ports
        self._who = who
        self._lines = SerialLines()
        self._people: Counter[str] = Counter()
        self._guests: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="console")
        self.opening = ThreadPoolExecutor(THREADS, thread_name_prefix="console-open")
        self.open = 0

    @staticmethod
    def serves(scope: Scope) -> bool:
        return bool(scope["type"] == "websocket" and scope["path"] == PATH)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        caller = await self._thread(lambda: self._greeted(scope))
        if caller is None:
            await send({"type": "websocket.close", "code": 1008})  # before `accept`: 403
            return
        await send({"type": "websocket.accept"})
        browser = Browser(receive, send)
        person = f"{caller.kind} {caller.name}"
        self.open += 1
        self._people[person] += 1
        try:
            if self.open > MOST or self._people[person] > PER_PERSON:
                raise Ended(Ending.TOO_MANY, "Too many consoles are open. Close some, then try again.")
            await self._serve(scope, browser, caller)
        except Ended as ended:
            await browser.end(ended)
        finally:
            self.open -= 1
            self._people[person] -= 1
            self._people += Counter()  # forgets who has none

    def _greeted(self, scope: Scope) -> Caller | None:
        """A page of ours with a sign-in. Browsers let any page open WebSockets to anywhere, with cookies: both headers are looked at."""
        site, origin, host = (header(scope, name) or None for name in (b"sec-fetch-site", b"origin", b"host"))
        try:
            guard.check_sender("POST", site, None, host or "")
            guard.check_sender("POST", None, origin, host or "")
        except NotAllowed:
            return None
        return self._who(scope)

    async def _serve(self, scope: Scope, browser: Browser, caller: Caller) -> None:
        """Raises Ended, always."""
        ticket = await browser.ticket()
        console = await self._asked(self._thread(lambda: consoles.spend(self._ports.on_behalf_of(caller), ticket)))
        told = {"guest": console.guest, "kind": str(console.kind), "view_only": console.view_only}
        if console.kind is ConsoleKind.SCREEN:
            end = await self._connect(caller, console)
            try:
                await browser.say(json.dumps(told))
                raise await relay.first_of(
                    relay.show(browser, end),
                    relay.tell(browser, end, view_only=console.view_only),
                    self._watch(scope, console),
                )
            finally:
                end.close()
        line, ear = await self._lines.join(console.run, lambda: self._connect(caller, console))
        try:
            await browser.say(json.dumps(told))
            raise await relay.first_of(
                relay.read_out(browser, ear),
                relay.type_in(browser, line, view_only=console.view_only),
                self._watch(scope, console),
            )
        finally:
            self._lines.leave(console.run, line, ear)

    async def _watch(self, scope: Scope, console: Console) -> None:
        """Raises Ended as soon as it is seen that this person may not, or this run is over."""
        patience = 1
        while True:
            await asyncio.sleep(CHECK_SECONDS if patience else CHECK_AGAIN_SECONDS)
            try:
                await self._asked(self._thread(lambda: self._check(scope, console)))
                patience = 1
            except Ended as ended:
                if ended.ending is not Ending.NOT_READY or not patience:
                    raise
                patience = 0

    def _check(self, scope: Scope, console: Console) -> None:
        caller = self._who(scope)
        if caller is None:
            raise NotAllowed(SIGNED_OUT)
        consoles.check(self._ports.on_behalf_of(caller), console)

    async def _connect(self, caller: Caller, console: Console) -> GuestEnd:
        """Consoles of one guest are opened one after the other: a guest that hangs holds one thread, however many look at it."""
        lock = self._guests.setdefault(console.guest, asyncio.Lock())
        try:
            async with asyncio.timeout(OPEN_SECONDS), lock:
                ports = self._ports.on_behalf_of(caller)
                opening = asyncio.get_running_loop().run_in_executor(self.opening, consoles.connect, ports, console)
                try:
                    descriptor = await self._asked(asyncio.shield(opening))
                except BaseException:
                    opening.add_done_callback(_nobody_wants)
                    raise
        except TimeoutError as error:
            raise Ended(Ending.NOT_READY, f"{console.guest} takes no console now: it may hang.") from error
        return await GuestEnd.of(descriptor)

    async def _asked(self, answer: Awaitable[T]) -> T:
        """The answer; what LabVirt refuses ends the console. A mistake of ours too, and is logged."""
        try:
            return await answer
        except LabVirtError as error:
            raise Ended(_ending(error), error.sentence) from error
        except Exception as error:
            log.exception("a console could not be opened or checked")
            raise Ended(Ending.NOT_READY, "Something went wrong here. The log of the web process says more.") from error

    async def _thread(self, question: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.pool, question)


def _nobody_wants(opening: asyncio.Future[int]) -> None:
    """Who wanted this descriptor has gone meanwhile."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


def _ending(error: LabVirtError) -> Ending:
    if isinstance(error, NotAllowed):
        return Ending.REFUSED
    if isinstance(error, Exhausted):
        return Ending.TOO_MANY
    if isinstance(error, GuestNotReady | EngineAway) or error.retryable:
        return Ending.NOT_READY
    return Ending.OVER
