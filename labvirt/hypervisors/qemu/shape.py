# SPDX-License-Identifier: MIT
"""The shape of a machine: everything on its command line that decides its devices, and nothing of who the guest is. Pure.

Device state is read only by a machine of the same shape. The network card is no part of it: clones get theirs afterwards.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer, Drive, LaunchSpec
from labvirt.domain.guest import RunId
from labvirt.hypervisors.qemu import command

_FOLDER = Path("/nowhere")


def digest(spec: LaunchSpec, *, accelerator: str) -> str:
    """SHA-256 of the shape."""
    memory = command.MemoryFile(path=f"{_FOLDER}/ram", clone=True)
    return hashlib.sha256("\n".join(command.render(nobody(spec), accelerator=accelerator, memory=memory)).encode()).hexdigest()


def nobody(spec: LaunchSpec) -> LaunchSpec:
    """The machine of `spec`, of no guest."""
    spice = None
    if spec.spice is not None:
        spice = replace(spec.spice, address=IPv4Address(1), tls_port=1, tls=_FOLDER / "tls")
    return replace(
        spec,
        run=RunId("nobody", 1),
        folder=_FOLDER,
        uuid=uuid.UUID(int=0),
        serial="",
        drives=tuple(_empty(drive) for drive in spec.drives),
        port=None,
        spice=spice,
        uid=None,
        overlay_cap_bytes=None,
        told=tuple((name, "") for name, _ in spec.told),
    )


def _empty(drive: Drive) -> Drive:
    """The drive on a file of no name: what stands below it may be one version or a chain of them, and a clone has one layer more."""
    return replace(drive, chain=tuple(DiskLayer(path=_FOLDER / "top", format=layer.format) for layer in drive.chain[:1]))
