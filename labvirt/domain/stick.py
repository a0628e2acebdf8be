# SPDX-License-Identifier: MIT
"""A USB stick that a PC starts from where the network cannot start it: what lies where on it, and its menu."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from labvirt.domain.kiosk import AGAIN_SECONDS, BootFile
from labvirt.errors import InvalidInput

SECTOR = 512
MIB = 1 << 20
START_MIB = 1
"""Where the first partition begins, as every partitioning program has it (2048 sectors)."""

BIOS_MIB, EFI_MIB, CACHE_MIB = 1, 64, 448
"""GRUB for the BIOS; FAT32 for UEFI; and the kiosk (at most 250 MB) with three starts of 18 MB, and room for what grows."""

END_MIB = 1
"""For the second copy of the partition table."""

CORE = "stick.core"
LABEL = "LABVIRT"
EFI_FILES = {"shimx64.efi": "EFI/BOOT/BOOTX64.EFI", "grubx64.efi": "EFI/BOOT/grubx64.efi"}
"""Boot folder's name -> where removable media have it (UEFI specification 2.10, 3.5.1.1). Shim loads the GRUB beside it."""

STARTS = ("boot", "boot.new", "boot.old")
"""The folders with kernel and initial file system in which GRUB looks: the terminal renews them (kiosk/image/initrd/lib/boot.sh)."""

_NAMESPACE = uuid.UUID("6b1f6c1e-0d2b-5d0e-9a53-4c6142566972")
_WORDS = re.compile(r"[A-Za-z0-9._,:/= -]*\Z", re.ASCII)
_CONTROLLER = re.compile(r"http://([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)(?::([0-9]{1,5}))?/?\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Sizes and places in MiB. `kind`: its GUID in the partition table (UEFI specification 2.10, 5.3.3; GRUB's manual for BIOS boot)."""

    name: str
    kind: str
    first_mib: int
    size_mib: int


PARTITIONS = (
    Partition(name="bios", kind="21686148-6449-6E6F-744E-656564454649", first_mib=START_MIB, size_mib=BIOS_MIB),
    Partition(name="efi", kind="C12A7328-F81F-11D2-BA4B-00A0C93EC93B", first_mib=START_MIB + BIOS_MIB, size_mib=EFI_MIB),
    Partition(
        name=LABEL.lower(), kind="0FC63DAF-8483-4772-8E79-3D69D8477DE4", first_mib=START_MIB + BIOS_MIB + EFI_MIB, size_mib=CACHE_MIB
    ),
)
STICK_BYTES = (START_MIB + BIOS_MIB + EFI_MIB + CACHE_MIB + END_MIB) * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The names of a stick's disk, partitions and file systems. Equal contents have equal names, so equal sticks are equal bytes."""

    disk: uuid.UUID
    partitions: Mapping[str, uuid.UUID]
    cache: uuid.UUID

    @property
    def efi_volume(self) -> str:
        """Of the FAT file system: 8 hexadecimal digits."""
        return self.partitions["efi"].hex[:8]


def identity(controller: str, files: tuple[BootFile, ...]) -> Identity:
    """The stick of this controller with these files."""
    told = controller + "".join(f"\n{file.name} {file.sha256}" for file in files)

    def named(part: str) -> uuid.UUID:
        return uuid.uuid5(_NAMESPACE, f"{part}\n{told}")

    return Identity(disk=named("disk"), partitions={each.name: named(each.name) for each in PARTITIONS}, cache=named("file system"))


def controller_url(text: str, field: str = "url") -> str:
    """The controller as terminals of a stick reach it: http://HOST[:PORT]/. Raises InvalidInput.

    Only http: a boot folder is fetched by busybox's wget, which proves no certificate. The words go to the kernel's command line.
    """
    found = _CONTROLLER.match(text)
    port = int(found[2]) if found and found[2] else None
    if found is None or (port is not None and not 1 <= port <= 65535):
        raise InvalidInput(field, "must be a URL like http://HOST:PORT/", hint="for example http://labvirt.school.example:8080/")
    return f"http://{found[1].lower()}:{port}/" if port else f"http://{found[1].lower()}/"


def kernel_words(text: str, field: str = "words") -> str:
    """More words of the kernel's command line, which GRUB takes as they are. Raises InvalidInput.

    A word may not be one that the menu gives itself.
    """
    if len(text) > 200 or not _WORDS.match(text):
        raise InvalidInput(
            field, "may have letters, digits and ._,:/=- only, in words, at most 200 characters", hint="for example nomodeset"
        )
    if any(
        word.startswith(("labvirt.url=", "labvirt.disk=", "labvirt.image=", "labvirt.sha256=", "ip=", "init=", "rdinit="))
        for word in text.split()
    ):
        raise InvalidInput(field, "may not change where the kiosk comes from or what the kernel starts", hint="Use --url.")
    return " ".join(text.split())


def stick_menu(controller: str, cache: uuid.UUID, words: str = "") -> str:
    """grub.cfg of a stick, for BIOS and UEFI. `words` follow the kernel's others.

    It names no image and no checksum: the terminal asks the controller for them (`boot/manifest.json`). Nothing in it waits for a person.
    """
    line = f"labvirt.url={controller} labvirt.disk=UUID={cache} ip=dhcp quiet{f' {words}' if words else ''}"
    return f"""\
# Written by LabVirt. The stick's third partition has the kernel.
regexp --set 1:disk '^\\(([^,)]+),' "$prefix"
for folder in {" ".join(STARTS)}; do
    if [ -f "($disk,gpt3)/$folder/initrd.img" ]; then
        if linux "($disk,gpt3)/$folder/vmlinuz" {line}; then
            if initrd "($disk,gpt3)/$folder/initrd.img"; then
                boot
            fi
        fi
    fi
done
echo "This stick is damaged: write it again (labvirt kiosk stick). This computer tries again in {AGAIN_SECONDS} seconds."
sleep {AGAIN_SECONDS}
reboot
"""
