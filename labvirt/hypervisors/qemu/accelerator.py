# SPDX-License-Identifier: MIT
"""Which accelerator really runs guests here: probed by use.

That /dev/kvm is there says little, and firmware that runs under it neither: only a Linux guest that reaches its
userspace does. The answer is kept per kernel, QEMU and processor, for a probe that fails takes its whole time.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from labvirt.hypervisors.qemu.command import PROGRAM
from labvirt.system.files import read_bounded, write_atomic
from labvirt.system.machine import cpu_model, kernel_release
from labvirt.system.process import run

KVM_DEVICE = Path("/dev/kvm")

BOOTED = b"LABVIRT GUEST BOOTED"
"""What the tiny guest says on its serial line from userspace (images/tiny)."""

PROBE_SECONDS = 20.0
"""Under KVM it takes one or two, under TCG two to five."""

TCG_NOTICE = (
    "Guests run without hardware virtualisation (TCG): they are slow, and what separates them from the host is no security boundary."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """`name` is 'kvm' or 'tcg'; `notice` a sentence for people, empty when all is as it should be."""

    name: str
    notice: str = ""


def choose(choice: str, *, guest: Path | None, cache: Path, qemu_version: str) -> Accelerator:
    """What guests get. `choice` 'kvm' and 'tcg' are obeyed; 'auto' is KVM if `guest`, a bootable qcow2, comes up
    under it.

    `cache` is a JSON file that may be absent. Never raises: what cannot be proven is TCG.
    """
    if choice == "kvm":
        return Accelerator(name="kvm")
    if choice == "tcg":
        return Accelerator(name="tcg", notice=TCG_NOTICE)
    if not KVM_DEVICE.exists():
        return Accelerator(name="tcg", notice=TCG_NOTICE)
    if guest is None or not guest.exists():
        untried = f"{TCG_NOTICE} KVM was not tried, because there is no test guest: run images/tiny/build.py, or set accelerator."
        return Accelerator(name="tcg", notice=untried)
    key = f"{kernel_release()} | {qemu_version} | {cpu_model()}"
    known = _read(cache)
    if key not in known:
        known = {key: boots(guest, "kvm")}
        _write(cache, known)
    if known[key]:
        return Accelerator(name="kvm")
    return Accelerator(name="tcg", notice=f"{TCG_NOTICE} /dev/kvm is there, and Linux does not boot under it.")


def boots(guest: Path, accelerator: str, *, seconds: float = PROBE_SECONDS) -> bool:
    """Does this guest reach its userspace under this accelerator? Its image is not written."""
    overlay = {
        "driver": "qcow2",
        "node-name": "disk",
        "read-only": True,
        "file": {"driver": "file", "filename": str(guest), "read-only": True},
    }
    argv = (
        *(PROGRAM, "-no-user-config", "-nodefaults", "-machine", f"q35,accel={accelerator}"),
        *("-cpu", "host" if accelerator == "kvm" else "max", "-m", "128", "-display", "none"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-blockdev", json.dumps(overlay), "-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=disk"),
        *("-serial", "stdio", "-no-reboot"),
    )
    return BOOTED in run(argv, timeout=seconds, until=BOOTED, limit=1 << 20).stdout


def kvm_group() -> int | None:
    """The group that may open /dev/kvm; None when everybody may."""
    found = os.stat(KVM_DEVICE)
    return None if found.st_mode & stat.S_IWOTH else found.st_gid


def _read(cache: Path) -> dict[str, bool]:
    try:
        found = json.loads(read_bounded(cache, 65536))
    except (OSError, ValueError):
        return {}
    return {str(key): bool(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _write(cache: Path, known: dict[str, bool]) -> None:
    try:
        write_atomic(cache, json.dumps(known, indent=1) + "\n")
    except OSError:  # without it the next start probes again, which is only slower
        return
