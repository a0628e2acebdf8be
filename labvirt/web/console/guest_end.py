# SPDX-License-Identifier: MIT
"""The guest's end of a console: a descriptor that the engine handed over, as a pair of streams on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

from labvirt.web.console.browser import Ended, Ending

PIECE_BYTES = 64 * 1024
"""Read at most this much ahead; the guest's side waits for the rest."""

OVER = "The guest has closed this: it was switched off, or started anew."


class GuestEnd:
    """One connection. `hear` and `say` raise Ended(OVER) when the guest has closed it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, descriptor: int) -> GuestEnd:
        """Takes the descriptor over, whatever happens. Raises Ended."""
        try:
            connection = socket.socket(fileno=descriptor)
        except OSError as error:
            os.close(descriptor)
            raise Ended(Ending.NOT_READY, OVER) from error
        try:
            connection.setblocking(False)
            return cls(*await asyncio.open_unix_connection(sock=connection, limit=PIECE_BYTES))
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise Ended(Ending.OVER, OVER) from error
            raise

    async def hear(self) -> bytes:
        try:
            data = await self._reader.read(PIECE_BYTES)
        except OSError as error:
            raise Ended(Ending.OVER, OVER) from error
        if not data:
            raise Ended(Ending.OVER, OVER)
        return data

    async def say(self, data: bytes) -> None:
        """Waits while the guest takes nothing: then nothing more is read from the browser either."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Ended(Ending.OVER, OVER) from error

    def close(self) -> None:
        """At once: what the guest has not taken by now it never gets."""
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            self._writer.transport.abort()
