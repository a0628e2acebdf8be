# SPDX-License-Identifier: MIT
"""One thread with one asyncio loop that speaks QMP with all guests, so that everything outside is synchronous.

A command has a deadline; one guest that does not answer keeps nobody else waiting.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from labvirt.errors import DriverTimeout

T = TypeVar("T")

# qemu.qmp logs what it also raises, and at its debug level whole messages: passwords of displays are among them.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class MonitorLoop:
    """Runs coroutines for threads. Ends with `close`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], *, timeout: float, subject: str) -> T:
        """What the coroutine returns or raises.

        Raises DriverTimeout when it has not ended after `timeout` seconds: it is cancelled.
        """
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("a listener must return at once and cannot ask the hypervisor")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError as error:
            if future.done():  # the coroutine's own
                raise
            future.cancel()
            raise DriverTimeout(
                f"{subject} did not answer within {timeout:g} s.",
                subject=subject,
                hint="Look again; if it stays silent, kill it: labvirt guest stop NAME --how kill",
            ) from error

    @property
    def closed(self) -> bool:
        return self._loop.is_closed()

    def close(self) -> None:
        """All that runs is cancelled and has ended; the thread is gone. Twice is fine."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    @staticmethod
    async def _cancel_all() -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
