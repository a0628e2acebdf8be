# SPDX-License-Identifier: MIT
"""What the fake hypervisor remembers: its pretended processes, in one JSON file, and what changed between two looks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from labvirt.contracts.hypervisor import EventKind, MachineState, RunEvent, RunStatus
from labvirt.domain.guest import RunId
from labvirt.errors import HypervisorError
from labvirt.system.files import read_bounded
from labvirt.system.machine import boot_id

_MEMORY_LIMIT = 64 << 20


@dataclass(slots=True, kw_only=True)
class Run:
    """One pretended process."""

    uuid: str
    pid: int
    memory_mib: int
    started_at: str
    display: bool
    state: MachineState = MachineState.RUNNING
    reason: str = ""
    full: bool = False
    cap_bytes: int | None = None
    overlays: list[str] = field(default_factory=list)
    """Paths of the files that take its writes, in the order of its disks."""
    viewers: list[str] = field(default_factory=list)
    resets: int = 0
    secret: str = ""
    secret_until: str = ""
    logins: dict[str, str] = field(default_factory=dict)
    """Digest of the password of each user that was set through the agent."""
    files: dict[str, str] = field(default_factory=dict)
    """What the agent can read inside: path -> base64."""
    agent: str = ""
    """Empty: it answers; 'silent'; else the words with which it refuses to set a password."""
    machine: str = ""
    """Digest of its machine, when it was started to be frozen."""
    template: str = ""
    """From which template it was cloned."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """Everything the fake knows."""

    boot_id: str
    runs: dict[str, Run] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    """How runs ended, by name."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Guests whose starts fail, with the sentence."""
    delays: dict[str, float] = field(default_factory=dict)
    """Guests that start slowly, in seconds."""
    last_pid: int = 1000


def status_of(run: RunId, known: Run) -> RunStatus:
    """What the driver says of this run."""
    return RunStatus(
        run=run,
        uuid=uuid.UUID(known.uuid),
        state=known.state,
        reason=known.reason,
        viewers=len(known.viewers),
        started_at=datetime.fromisoformat(known.started_at),
        pid=known.pid,
        memory_mib=known.memory_mib,
    )


def changes(before: dict[str, Run], memory: Memory) -> Iterator[RunEvent]:
    """The events that lead from these runs to what is remembered now."""
    for name, old in before.items():
        run = RunId.parse(name)
        now = memory.runs.get(name)
        if now is None or now.pid != old.pid:
            detail = memory.ends.get(name, "")
            if detail == "it switched itself off":
                yield RunEvent(run=run, kind=EventKind.GUEST_SHUTDOWN)
            yield RunEvent(run=run, kind=EventKind.ENDED, detail=detail)
            continue
        if now.state is MachineState.PAUSED and old.state is not MachineState.PAUSED:
            yield RunEvent(run=run, kind=EventKind.PAUSED, detail=now.reason)
        if old.state is MachineState.PAUSED and now.state is MachineState.RUNNING:
            yield RunEvent(run=run, kind=EventKind.RESUMED)
        for _ in range(old.resets, now.resets):
            yield RunEvent(run=run, kind=EventKind.RESET)
        for peer in sorted({*old.viewers, *now.viewers}):
            more = now.viewers.count(peer) - old.viewers.count(peer)
            kind = EventKind.VIEWER_CONNECTED if more > 0 else EventKind.VIEWER_LEFT
            for _ in range(abs(more)):
                yield RunEvent(run=run, kind=kind, peer=peer)


def load(file: Path) -> Memory:
    """What is remembered. Nothing, if there is no file, or if the host was started anew since: then no process lives."""
    return recall(file)[0]


def recall(file: Path) -> tuple[Memory, str]:
    """The same, and what is written there: another text than `dump` gives when there is something to write."""
    try:
        text = read_bounded(file, _MEMORY_LIMIT).decode()
        found: dict[str, Any] = json.loads(text)
    except FileNotFoundError:
        memory = Memory(boot_id=boot_id())
        return memory, dump(memory)
    except (OSError, ValueError) as error:
        raise HypervisorError(f"The fake's memory {file} cannot be read.", hint=f"Remove it: rm {file}") from error
    memory = Memory(**found)
    memory.runs = {name: Run(**{**run, "state": MachineState(run["state"])}) for name, run in found["runs"].items()}
    if memory.boot_id != boot_id():
        memory.runs, memory.boot_id = {}, boot_id()
    return memory, text


class Glance:
    """What is remembered, for who changes nothing: read again only when another file is there (each writing makes a new one)."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: tuple[tuple[int, int, int], Memory] | None = None

    def now(self) -> Memory:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return load(self._file)
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = self._known
        if known is None or known[0] != mark:
            known = self._known = (mark, load(self._file))
        return known[1]


def dump(memory: Memory) -> str:
    """The memory as it is written. It is written and read as a whole for each verb, hundreds of runs: nothing is copied for it."""
    told = {name: getattr(memory, name) for name in _OF_MEMORY}
    told["runs"] = {name: {each: getattr(run, each) for each in _OF_RUN} for name, run in memory.runs.items()}
    return json.dumps(told, sort_keys=True) + "\n"  # without `indent`: that one json writes in Python


_OF_MEMORY = tuple(each.name for each in fields(Memory))
_OF_RUN = tuple(each.name for each in fields(Run))
