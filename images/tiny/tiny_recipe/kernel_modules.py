# SPDX-License-Identifier: MIT
"""The few modules of the kernel that the guest loads, in their order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

# Loaded in this order, each after what it depends on. A name this kernel lacks is left out: the cloud kernel has no ahci and
# no emulated network card, a generic one has.
EARLY_MODULES = ("virtio_pci", "virtio_net", "e1000", "e1000e", "8139cp", "button", "evdev", "virtio_rng", "qemu_fw_cfg")
DISK_MODULES = ("virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ahci", "virtio_console")


def module_order(wanted: Iterable[str], folder: Path) -> list[Path]:
    """The module files to load, each after those it depends on (its own .modinfo says which). Unknown names are skipped."""
    files = {file.stem.replace("-", "_"): file for file in folder.rglob("*.ko")}
    order: list[Path] = []

    def add(name: str) -> None:
        file = files.get(name)
        if file is None or file in order:
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", file.read_bytes())
        for needed in depends[1].decode().split(",") if depends else []:
            add(needed.replace("-", "_"))
        order.append(file)

    for name in wanted:
        add(name.replace("-", "_"))
    return order
