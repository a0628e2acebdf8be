# SPDX-License-Identifier: MIT
"""Where a run's files are: on the host, and as QEMU sees them inside its sandbox. Paths only, nothing is opened.

A run's folder is QEMU's /run/guest (writable); each read-only layer is one file under /images. Inside names are short
whatever the state folder is called, so sockets always fit into 107 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.hypervisor import AGENT_SOCKET, SERIAL_SOCKET, TPM_STATE, UEFI_VARIABLES, LaunchSpec

__all__ = ["AGENT_SOCKET", "SERIAL_SOCKET", "TPM_STATE", "UEFI_VARIABLES"]

GUEST = "/run/guest"
TPM_INSIDE = f"/run/{TPM_STATE}"
"""Where the emulator of the TPM finds the only file that it sees."""

QMP_SOCKET = "qmp.sock"
VNC_SOCKET = "vnc.sock"
LOG = "qemu.log"
TPM_LOG = "tpm.log"
RECORD = "launch.json"
RAM = "ram"
"""The memory of a guest that can be frozen."""
TLS = "tls"

UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
UEFI_VARIABLES_TEMPLATE = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""Debian's package ovmf, both 12 and 13."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One file of a drive's chain. `node` is QEMU's name for it."""

    node: str
    host: Path
    inside: str
    format: str
    writable: bool


def overlays(spec: LaunchSpec) -> Iterator[tuple[str, str]]:
    """QEMU's node for the file of each overlay, and that file's name in the run's folder."""
    for place, drive in enumerate(spec.drives):
        if drive.chain and not drive.cdrom:
            yield file_node(f"drive{place}-0"), drive.chain[0].path.name


def file_node(node: str) -> str:
    """The node of the file below a format's node."""
    return f"{node}-file"


def chain(spec: LaunchSpec, place: int) -> tuple[Layer, ...]:
    """The layers of the drive at this place of `spec.drives`, the top one first."""
    drive = spec.drives[place]
    layers = []
    for depth, layer in enumerate(drive.chain):
        name = f"drive{place}-{depth}"
        own = layer.path.is_relative_to(spec.folder)
        layers.append(
            Layer(
                node=name,
                host=layer.path,
                inside=f"{GUEST}/{layer.path.relative_to(spec.folder)}" if own else f"/images/{name}.{layer.format}",
                format=layer.format,
                writable=depth == 0 and not drive.cdrom,
            )
        )
    return tuple(layers)


def shared_layers(spec: LaunchSpec) -> Iterator[Layer]:
    """The layers that do not lie in the run's own folder: read-only, shared with other runs."""
    for place in range(len(spec.drives)):
        for layer in chain(spec, place):
            if not layer.inside.startswith(f"{GUEST}/"):
                yield layer
