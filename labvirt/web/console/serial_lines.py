# SPDX-License-Identifier: MIT
"""Guests' serial lines, shared: QEMU serves one listener at a time, so all consoles of one line hang on one connection.

Everybody who may type types into the same line. Who joins gets what was said last; who is too slow loses the oldest, and reads how much.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from labvirt.domain.guest import RunId
from labvirt.web.console.browser import Ended
from labvirt.web.console.guest_end import GuestEnd

REPLAY_BYTES = 16 * 1024
REPLAYS = 64
"""Lines whose last words are remembered when nobody listens any more."""
EAR_BYTES = 256 * 1024


class Ear:
    """One console's side of a line."""

    def __init__(self, first: bytes) -> None:
        self._waiting = bytearray(first)
        self._lost = 0
        self._ended: Ended | None = None
        self._there = asyncio.Event()
        if first:
            self._there.set()

    def give(self, data: bytes) -> None:
        self._waiting += data
        beyond = len(self._waiting) - EAR_BYTES
        if beyond > 0:
            self._lost += beyond
            del self._waiting[:beyond]
        self._there.set()

    def end(self, ended: Ended) -> None:
        self._ended = ended
        self._there.set()

    async def hear(self) -> bytes:
        """Everything that waits, at least one byte. Raises Ended when the line is over and all was heard."""
        while True:
            await self._there.wait()
            self._there.clear()
            if self._waiting:
                data, self._waiting = bytes(self._waiting), bytearray()
                note, self._lost = f"\r\n[{self._lost} bytes left out: this connection is slow]\r\n" if self._lost else "", 0
                if self._ended is not None:
                    self._there.set()
                return note.encode() + data
            if self._ended is not None:
                raise self._ended


class Line:
    """One connection with all its ears. It is read as long as there is one."""

    def __init__(self, end: GuestEnd, said: bytes) -> None:
        self.said = bytearray(said)
        self.ears: set[Ear] = set()
        self._end = end
        self._task = asyncio.get_running_loop().create_task(self._read())

    async def say(self, data: bytes) -> None:
        """The guest has taken it. Raises Ended."""
        await self._end.say(data)

    @property
    def over(self) -> bool:
        return self._task.done()

    def close(self) -> None:
        self._task.cancel()
        self._end.close()

    async def _read(self) -> None:
        try:
            while True:
                data = await self._end.hear()
                self.said += data
                del self.said[:-REPLAY_BYTES]
                for ear in self.ears:
                    ear.give(data)
        except Ended as ended:
            for ear in self.ears:
                ear.end(ended)


class SerialLines:
    """On the event loop only."""

    def __init__(self) -> None:
        self._lines: dict[RunId, Line] = {}
        self._replays: OrderedDict[RunId, bytes] = OrderedDict()
        self._opening: WeakValueDictionary[RunId, asyncio.Lock] = WeakValueDictionary()

    async def join(self, run: RunId, connect: Callable[[], Awaitable[GuestEnd]]) -> tuple[Line, Ear]:
        """A new ear at this line; `connect` is called when nobody listens yet. Raises what that raises."""
        opening = self._opening.setdefault(run, asyncio.Lock())
        async with opening:
            line = self._lines.get(run)
            if line is None or line.over:
                end = await connect()
                line = self._lines[run] = Line(end, self._replays.pop(run, b""))
            ear = Ear(bytes(line.said))
            line.ears.add(ear)
            return line, ear

    def leave(self, run: RunId, line: Line, ear: Ear) -> None:
        """The last one that leaves closes the connection: others may listen then (a command line, a canary's checks)."""
        line.ears.discard(ear)
        if line.ears:
            return
        line.close()
        if self._lines.get(run) is line:
            del self._lines[run]
            self._replays[run] = bytes(line.said)
            self._replays.move_to_end(run)
            while len(self._replays) > REPLAYS:
                self._replays.popitem(last=False)
