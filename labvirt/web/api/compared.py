# SPDX-License-Identifier: MIT
"""If-Match: what the client has read is compared in the transaction of the change itself, which holds the writer's lock: between looking
and changing there is nobody, from no process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from labvirt.contracts.database import UnitOfWork
from labvirt.usecases.ports import Ports

Look = Callable[[Ports], None]
"""Raises ChangedMeanwhile when these doors show another thing than the client has read."""


def compared(ports: Ports, look: Look) -> Ports:
    """The same doors; whoever writes first through them looks before he writes, and changes nothing when that raises."""
    return replace(ports, database=_Compared(ports, look))


class _Compared:
    """Keeps contracts.database.Database."""

    def __init__(self, ports: Ports, look: Look) -> None:
        self._ports = ports
        self._real = ports.database
        self._look: Look | None = look

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        with self._real.write() as work:
            look, self._look = self._look, None  # its own change is no reason to refuse the rest of it
            if look is not None:
                look(replace(self._ports, database=_Inside(work)))
            yield work

    def read(self) -> AbstractContextManager[UnitOfWork]:
        return self._real.read()

    def copy(self, target: Path) -> None:
        self._real.copy(target)

    def close(self) -> None:
        self._real.close()


class _Inside:
    """Looks through the unit of work that writes: another connection would not see what others wrote into the same transaction
    (database/turns.py)."""

    def __init__(self, work: UnitOfWork) -> None:
        self._work = work

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        yield self._work

    def write(self) -> AbstractContextManager[UnitOfWork]:
        raise TypeError("who looks writes nothing")

    def copy(self, target: Path) -> None:
        raise TypeError("who looks copies nothing")

    def close(self) -> None:
        """It is whose transaction it is who closes."""
