# SPDX-License-Identifier: MIT
"""The House of the crash sweep with its state on a small file system, and what must hold of its files whatever was refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from labvirt.bootstrap.processes import keep_room
from labvirt.domain.draft import DraftState
from labvirt.engine.world import World
from labvirt.errors import DiskError
from labvirt.usecases.ports import Ports
from tests.engine.simulated import SimAuthority
from tests.sweep.house import MIB, House

__all__ = ["MIB", "Before", "Room"]


@dataclass(frozen=True, kw_only=True)
class Before:
    """What there was: (version -> checksum of its file), drafts, the pointer."""

    versions: dict[int, str]
    drafts: frozenset[str]
    published: int | None


class _Authority(SimAuthority):
    """Says what the kernel said in the words of the real one (labvirt/network/authority.py)."""

    def issue(self, folder: Path, *, name: str, address: object, uid: int | None) -> None:
        try:
            super().issue(folder, name=name, address=address, uid=uid)
        except OSError as error:
            raise DiskError(f"The certificate of {name} cannot be written: {error.strerror}.", subject=name, hint="df -h") from error


class Room(House):
    """`working`: doors with an engine behind them, while there is one."""

    working: Ports | None = None

    def __init__(self, root: Path, *, bin_days: float = 7, reserved: bool = False) -> None:
        """`reserved`: the database has room of its own, as while an engine runs."""
        super().__init__(root, bin_days=bin_days)
        if reserved:
            keep_room(root / "labvirt.db")
        self.limits = replace(self.limits, rescue_hours=0 if bin_days == 0 else 24)

    def world(self) -> World:
        return replace(super().world(), authority=_Authority())

    def now(self) -> Before:
        with self.database.read() as work:
            drafts = frozenset(each.name for each in work.drafts.list())
        return Before(
            versions={number: _sha256(self.store.path(version)) for number, version in self.versions().items()},
            drafts=drafts,
            published=self.published(),
        )

    def unchanged(self, before: Before, leaves: str) -> Iterator[str]:
        """After a refusal."""
        now = self.now()
        if now.published != before.published:
            yield f"{now.published} is published instead of {before.published}"
        if now.versions != before.versions:
            yield f"there are the versions {sorted(now.versions)} instead of {sorted(before.versions)}, or one was changed"
        yield from self.tidy(leaves)

    def tidy(self, leaves: str) -> Iterator[str]:
        """Nothing is half there, but what may be left (deeds.Deed)."""
        yield from (each for each in (*self._files(), *self._halves()) if leaves not in each)

    def _halves(self) -> Iterator[str]:
        with self.database.read() as work:
            for draft in work.drafts.list():
                if draft.state is DraftState.PUBLISHING:
                    yield f"{draft.name} is still {draft.state}"
                if draft.alive and draft.name not in {file.name for file in self.drafts.list()}:
                    yield f"{draft.name} has no file"
        for folder in ("images", "drafts", "kept", "uploads", "exported"):
            for left in (self.root / folder).rglob("*"):
                if left.name.endswith((".new", ".new.qcow2", ".part", ".gone")) or left.name.startswith(".labvirt-export-"):
                    yield f"{left.relative_to(self.root)} was left"


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
