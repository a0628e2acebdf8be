# SPDX-License-Identifier: MIT
"""Long works (usecases.jobs) are done here, a few at a time, on threads of their own: nothing that a guest needs waits for them."""

from __future__ import annotations

import logging
import threading

from labvirt.errors import LabVirtError
from labvirt.usecases import jobs
from labvirt.usecases.ports import Ports

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Jobs of a process that died, and those whose poke was lost, are found this soon."""


class Workshop:
    """`poke` may be called from any thread. Which of several processes does a job is decided by the job's lock."""

    def __init__(self, ports: Ports, at_once: int) -> None:
        self._ports = ports
        self._at_once = at_once
        self._changed = threading.Condition()
        self._pokes = 0
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._work, name=f"job-{number}", daemon=True) for number in range(self._at_once)]
        for thread in self._threads:
            thread.start()

    def poke(self) -> None:
        """Jobs were asked for, or cancelled."""
        with self._changed:
            self._pokes += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """No job is begun any more; those that are done hear that they are to let go (they stay RUNNING, and are begun again)."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, seconds: float) -> bool:
        """True when nothing is done any more, within `seconds`."""
        clock = self._ports.clock
        deadline = clock.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _is_stopping(self) -> bool:
        return self._stopping

    def _work(self) -> None:
        while True:
            with self._changed:
                seen = self._pokes
            if self._is_stopping():
                return
            if self._one():
                self.poke()  # somebody else may have waited for what this one has made
                continue
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self._stopping or self._pokes != seen, LOOK_SECONDS)  # type: ignore[misc]

    def _one(self) -> bool:
        """A job was brought to its end here."""
        try:
            for number in jobs.unfinished(self._ports):
                if self._is_stopping():
                    return False
                job = jobs.run(self._ports, number, stopping=self._is_stopping)
                if job is not None and job.ended:
                    return True
        except LabVirtError as error:
            log.warning("no job could be begun: %s", error)
        except Exception:  # a mistake of ours must not take the thread away from all other jobs
            log.exception("a job met a mistake of the program outside of its deed")
        return False
