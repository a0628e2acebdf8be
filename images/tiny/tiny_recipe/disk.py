# SPDX-License-Identifier: MIT
"""The disk that starts with a BIOS: first sector, a FAT with boot loader, kernel and initial file system, and the agent behind it."""

from __future__ import annotations

from pathlib import Path

from labvirt_recipe import RecipeError
from labvirt_recipe.boot_record import SECTOR, Partition, boot_record
from labvirt_recipe.disk_image import converted
from labvirt_recipe.program import run

from tiny_recipe.agent import agent_archive
from tiny_recipe.initial_file_system import initial_file_system

VIRTUAL_SIZE = 256 << 20
PARTITION_START = 1 << 20
PARTITION_END = 26 << 20
AGENT_START = PARTITION_END  # The agent, unpacked after the boot and only where the machine has its channel: it costs no boot any time.
FREE_FROM = 32 << 20  # From here to the end of the disk nothing is stored: tests may write there.
# The guest's own `keep` stores its records in the first 64 KiB of that (guest/lib/labvirt/disk.sh).

SIGNATURE = 0x4C414256
FAT16 = 0x0E
"""Addressed by the sector's number."""

# The serial line is the only console, at level 0: it stays quiet for the line protocol and still shows a panic;
# the screen belongs to guest/sbin/screen. The rest saves time that emulated processors have not: the TSC is the host's and needs no
# watchdog, which looked twice a second: a third of what an idle guest cost. Nobody speaks IPv6 with it, and each clone's card
# would begin to.
KERNEL_ARGUMENTS = (
    "console=ttyS0,115200 quiet loglevel=0 vt.global_cursor_default=0 "
    "mitigations=off noreplace-smp no_timer_check nowatchdog tsc=nowatchdog cryptomgr.notests audit=0 ipv6.disable=1"
)
BOOT_MENU = f"DEFAULT tiny\nPROMPT 0\nLABEL tiny\n  KERNEL vmlinuz\n  APPEND initrd=initrd.gz {KERNEL_ARGUMENTS}\n"


def make_disk(unpacked: Path, work: Path) -> Path:
    """The bootable disk as a qcow2 file, of the unpacked packages."""
    agent = agent_archive(unpacked)
    if len(agent) > FREE_FROM - AGENT_START:
        raise RecipeError("The guest agent has grown too large for its place on the disk: move AGENT_START and PARTITION_END.")
    place = f"{AGENT_START >> 20} {len(agent)}\n" if agent else ""
    (work / "initrd.gz").write_bytes(initial_file_system(unpacked, place))
    (work / "syslinux.cfg").write_text(BOOT_MENU)
    disk = work / "disk.raw"
    code = (unpacked / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()
    with disk.open("wb") as stream:
        stream.truncate(VIRTUAL_SIZE)
        stream.write(boot_record(code, SIGNATURE, [Partition(FAT16, PARTITION_START, PARTITION_END, active=True)]))
        stream.seek(AGENT_START)
        stream.write(agent)
    fill_partition(disk, unpacked, work)
    image = work / "tiny.qcow2"
    converted(disk, image)
    return image


def fill_partition(disk: Path, unpacked: Path, work: Path) -> None:
    """A FAT with syslinux, its menu, the kernel and the initial file system; by programs from the unpacked packages."""
    tools = unpacked / "usr/bin"
    (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
    start, sectors = PARTITION_START // SECTOR, (PARTITION_END - PARTITION_START) // SECTOR
    drive = f"{disk}@@{PARTITION_START}"
    geometry = ("-T", str(sectors), "-H", str(start), "-h", "64", "-s", "32")
    run(tools / "mformat", "-i", drive, *geometry, "-N", "4c414256", "-v", "LABVIRT", "::", first=tools)
    # The loader goes in first, while the file system is empty: its sectors must not move afterwards.
    run(tools / "syslinux", "--install", "--offset", str(PARTITION_START), disk, first=tools)
    for source, name in ((work / "syslinux.cfg", "syslinux.cfg"), (kernel, "vmlinuz"), (work / "initrd.gz", "initrd.gz")):
        run(tools / "mcopy", "-i", drive, source, f"::{name}", first=tools)
