# SPDX-License-Identifier: MIT
"""The launch record: what was about to be started, written before it was.

For people and for reading back; the process is the truth.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from labvirt.hypervisors.qemu import layout
from labvirt.hypervisors.qemu.cap import OverlayCap
from labvirt.system.files import read_bounded, write_atomic

_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRecord:
    """`argv` holds no secret. `uid` None: the engine's own user. `overlays` are QEMU's nodes with their files' names."""

    run: str
    argv: tuple[str, ...]
    uuid: uuid.UUID
    uid: int | None
    boot_id: str
    overlay_cap_bytes: int | None = None
    overlays: tuple[tuple[str, str], ...] = ()
    machine: str = ""
    """Digest of its shape, when it was started to be frozen."""
    waker: str = ""
    """It is a clone that this one wakes (hypervisors/wakers.py); empty when it has everything."""
    on_trial: bool = False
    """Its agent's channel is left to its checks."""

    @property
    def cap(self) -> OverlayCap | None:
        """How much it may write; None when nobody said."""
        return None if self.overlay_cap_bytes is None else OverlayCap(limit_bytes=self.overlay_cap_bytes, overlays=self.overlays)

    def write(self, folder: Path) -> None:
        """It lies in the run's folder, whole, before the process begins. Raises OSError."""
        text = json.dumps({**asdict(self), "uuid": str(self.uuid)}, indent=1)
        write_atomic(folder / layout.RECORD, text + "\n")


def read(folder: Path) -> LaunchRecord | None:
    """The record of the run in `folder`; None if there is none that can be read."""
    try:
        found = json.loads(read_bounded(folder / layout.RECORD, _LIMIT))
        return LaunchRecord(
            run=str(found["run"]),
            argv=tuple(map(str, found["argv"])),
            uuid=uuid.UUID(found["uuid"]),
            uid=found["uid"],
            boot_id=str(found["boot_id"]),
            # Runs of an older LabVirt, which are adopted too, have no cap.
            overlay_cap_bytes=None if found.get("overlay_cap_bytes") is None else int(found["overlay_cap_bytes"]),
            overlays=tuple((str(node), str(name)) for node, name in found.get("overlays", ())),
            machine=str(found.get("machine", "")),
            waker=str(found.get("waker", "")),
            on_trial=bool(found.get("on_trial", False)),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
