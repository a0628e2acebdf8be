# SPDX-License-Identifier: MIT
"""A request that may be sent twice is done once: its key stands for its answer for a day. A key belongs to whoever sent it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from labvirt.contracts.database import KeptAnswer
from labvirt.errors import Conflict, OperationInProgress
from labvirt.usecases.ports import Ports

KEPT_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """What the first request was answered."""

    status: int
    headers: Mapping[str, str]
    body: str


def begin(ports: Ports, key: str, *, mark: str, process: str) -> Repeated | None:
    """The answer of the first request with this key; None: this is the first, and the key is taken now.

    Raises Conflict when the key stands for another request (another `mark`) or for one that was cut off in the middle, and
    OperationInProgress while the first is under way.
    """
    who, now = _who(ports), ports.clock.now()
    with ports.database.write() as work:
        work.answers.trim(now - timedelta(hours=KEPT_HOURS))
        found = work.answers.get(who, key)
        if found is None:
            work.answers.put(KeptAnswer(who=who, key=key, mark=mark, process=process, at=now))
            work.commit()
            return None
    if found.mark != mark:
        raise Conflict("This Idempotency-Key was sent with another request.", hint="Use a new key for each thing that you want done.")
    if found.status:
        return Repeated(status=found.status, headers=dict(found.headers), body=found.body)
    if found.process != process:
        raise Conflict(
            "The first request with this key was cut off in the middle: it may have been done.",
            hint="Look whether it was; if not, send it with a new key.",
        )
    raise OperationInProgress("The controller", "it does the first request with this Idempotency-Key")


def end(ports: Ports, key: str, *, status: int, headers: Mapping[str, str], body: str) -> None:
    """This is what the request is answered, also the next time."""
    who = _who(ports)
    with ports.database.write() as work:
        found = work.answers.get(who, key)
        if found is None:  # a day has gone by
            return
        work.answers.put(replace(found, status=status, headers=tuple(sorted(headers.items())), body=body))
        work.commit()


def forget(ports: Ports, key: str) -> None:
    """Nothing was done: the key may be used again."""
    with ports.database.write() as work:
        work.answers.remove(_who(ports), key)
        work.commit()


def _who(ports: Ports) -> str:
    return f"{ports.caller.kind} {ports.caller.name}"
