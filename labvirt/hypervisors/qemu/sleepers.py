# SPDX-License-Identifier: MIT
"""Clones that wait to be woken (contracts.templates: preload, wake). They are this process's alone: whoever comes after it finds none."""

from __future__ import annotations

import threading

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.domain.guest import RunId
from labvirt.errors import NotFound
from labvirt.hypervisors.qemu.launch import end_all
from labvirt.hypervisors.qemu.waking import Sleeper


class Sleepers:
    """From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sleepers: dict[RunId, Sleeper] = {}

    def __contains__(self, run: RunId) -> bool:
        with self._lock:
            return run in self._sleepers

    def add(self, sleeper: Sleeper) -> None:
        with self._lock:
            self._sleepers[sleeper.spec.run] = sleeper

    def take(self, spec: LaunchSpec) -> Sleeper:
        """The one that waited for exactly this; it is the caller's now. One that waited for something else has ended. Raises NotFound."""
        with self._lock:
            sleeper = self._sleepers.pop(spec.run, None)
        if sleeper is not None and sleeper.spec != spec:
            ended(sleeper)
            sleeper = None
        if sleeper is None:
            raise NotFound("waiting clone", str(spec.run))
        return sleeper

    def waiting(self) -> tuple[RunId, ...]:
        """Those whose processes live."""
        with self._lock:
            sleepers = dict(self._sleepers)
        return tuple(sorted(run for run, sleeper in sleepers.items() if not sleeper.is_over()))

    def drop(self, run: RunId) -> bool:
        """One that waited has ended. False: there was none."""
        with self._lock:
            sleeper = self._sleepers.pop(run, None)
        if sleeper is not None:
            ended(sleeper)
        return sleeper is not None

    def drop_all(self) -> None:
        with self._lock:
            runs = tuple(self._sleepers)
        for run in runs:
            self.drop(run)


def woken(sleeper: Sleeper, seconds: float) -> None:
    """It runs; after a failure no process of it exists. Raises what Sleeper.wake raises."""
    try:
        sleeper.wake(seconds)
    except BaseException:
        end_all(sleeper.spec.folder)
        raise
    finally:
        sleeper.close()


def ended(sleeper: Sleeper) -> None:
    """No process of it exists. It is let go first: who waits for the end of its monitor's connections waits for this one, too."""
    sleeper.close()
    end_all(sleeper.spec.folder)
