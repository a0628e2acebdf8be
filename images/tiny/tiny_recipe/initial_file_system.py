# SPDX-License-Identifier: MIT
"""The whole guest: busybox, a few modules of the kernel, and guest/, as the archive that the kernel unpacks into memory."""

from __future__ import annotations

import gzip
from pathlib import Path

from labvirt_recipe import cpio
from labvirt_recipe.content import FORK, files_below
from labvirt_recipe.program import run

from tiny_recipe import GUEST
from tiny_recipe.kernel_modules import DISK_MODULES, EARLY_MODULES, module_order
from tiny_recipe.net_event import net_event_program
from tiny_recipe.reseed import reseed_program

# Called by /sbin and /bin alike; what guest/ puts into sbin stays.
SBIN_APPLETS = ("uevent", "acpid", "reboot", "poweroff")


def initial_file_system(unpacked: Path, agent_place: str) -> bytes:
    """The guest's files as a gzip-compressed cpio archive. `agent_place`: where on the disk the agent lies, as the guest reads it."""
    (modules,) = (unpacked / "lib/modules").iterdir()
    busybox = unpacked / "bin/busybox"
    files: cpio.Files = {f"bin/{applet}": cpio.link("busybox") for applet in run(busybox, "--list").decode().split()}
    files["bin/busybox"] = cpio.program(busybox.read_bytes())
    for list_name, wanted in (("early", EARLY_MODULES), ("disk", DISK_MODULES)):
        order = module_order(wanted, modules)
        files.update({f"lib/modules/{file.name}": cpio.plain(file.read_bytes()) for file in order})
        text = "".join(f"/lib/modules/{file.name}\n" for file in order)
        files[f"lib/labvirt/modules-{list_name}"] = cpio.plain(text.encode())
    for file in files_below(GUEST):
        name = str(file.relative_to(GUEST))
        # Not the checkout's mode bits: a copy of the recipe may have lost them, and they are not in the key.
        executable = name.startswith(("sbin/", "etc/acpi/"))
        files[name] = cpio.program(file.read_bytes()) if executable else cpio.plain(file.read_bytes())
    files["sbin/labvirt-fork"] = cpio.program(FORK.read_bytes())
    files["sbin/labvirt-reseed"] = cpio.program(reseed_program())
    files["sbin/labvirt-net-event"] = cpio.program(net_event_program())
    files["etc/machine-id"] = cpio.link("/run/machine-id")
    files["init"] = cpio.link("bin/init")
    for applet in SBIN_APPLETS:
        files.setdefault(f"sbin/{applet}", cpio.link("../bin/busybox"))
    files["lib/labvirt/agent"] = cpio.plain(agent_place.encode())
    archive = cpio.archive_of(files, folders=("dev", "proc", "sys"), devices=(cpio.CONSOLE, cpio.NULL))
    return gzip.compress(archive, compresslevel=9, mtime=0)
