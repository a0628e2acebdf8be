# SPDX-License-Identifier: MIT
"""What the host bore in the last hours: one reading a minute, in this process's memory only: it ends with it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from labvirt.domain.host import HostLoad
from labvirt.errors import LabVirtError
from labvirt.usecases.ports import Ports
from labvirt.web.published import Published

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
KEPT = 6 * 60
"""Six hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading. Nothing is known (None) while the engine does not answer; `load` also where the host does not tell it."""

    at: datetime
    load: HostLoad | None = None
    guests: int | None = None


class Past:
    """Taken by a task of the server's loop, read by pages from any thread."""

    def __init__(self, ports: Ports, published: Published) -> None:
        self._ports = ports
        self._published = published
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._task: asyncio.Task[None] | None = None

    def samples(self) -> tuple[Sample, ...]:
        """The oldest first."""
        return tuple(self._samples)

    def take(self) -> Sample:
        """One more; the oldest is forgotten when there are too many. It asks the engine: call it in a thread."""
        at = self._ports.clock.now()
        try:
            load = self._ports.engine.status().load
        except LabVirtError:
            sample = Sample(at=at)
        else:
            sample = Sample(at=at, load=load, guests=sum(change.guest.alive for change in self._published.changes()))
        self._samples.append(sample)
        return sample

    def start(self) -> None:
        """From now on, in the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._go())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _go(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await asyncio.to_thread(self.take)
            except Exception:  # a task that died would leave a line that ends, and nobody to say why
                log.exception("the host's load could not be read; in a minute again")
