# SPDX-License-Identifier: MIT
"""The kiosk as a value: what a terminal is started with."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labvirt.errors import InvalidInput

NEEDED = ("vmlinuz", "initrd.img", "kiosk.squashfs", "core.0", "shimx64.efi", "grubx64.efi")
"""Every boot folder has these, and manifest.json."""

MANIFEST = "manifest.json"
IMAGE = "kiosk.squashfs"
INITRD = "initrd.img"
LOADERS = ("core.0", "shimx64.efi", "grubx64.efi")
"""What firmware fetches by TFTP, before anything speaks HTTP."""

MENU = "grub/grub.cfg"
"""Where the loaders look for their orders: `core.0` is made so, Debian's signed GRUB is too (prefix /grub)."""

AGAIN_SECONDS = 10

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROLLER = re.compile(r"http://((?:[0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5})/", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFile:
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kiosk:
    """What a boot folder holds. `version` names its content: equal versions are equal files."""

    version: str
    kernel: str
    built_at: str
    ca: str = ""
    """SHA-256 of the authority that terminals take displays from (PEM); empty: any."""
    files: tuple[BootFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    def file(self, name: str) -> BootFile | None:
        return next((file for file in self.files if file.name == name), None)

    @property
    def image_sha256(self) -> str:
        """Of kiosk.squashfs, which a terminal compares before it enters it."""
        found = self.file(IMAGE)
        assert found is not None
        return found.sha256


def ca_digest(ca_pem: str) -> str:
    """Names an authority: SHA-256 of its certificate as text (PEM)."""
    return hashlib.sha256(ca_pem.encode()).hexdigest()


def kiosk_of(told: object) -> Kiosk:
    """From a manifest.json. Raises InvalidInput for what is none, lacks a file, or names one that is not a plain name."""
    if not isinstance(told, Mapping) or not isinstance(told.get("files"), Mapping):
        raise InvalidInput("manifest.json", "is not that of a kiosk")
    files = [_file(name, about) for name, about in sorted(told["files"].items())]
    missing = [name for name in NEEDED if name not in told["files"]]
    if missing:
        raise InvalidInput("manifest.json", f"names no {', '.join(missing)}")
    return Kiosk(
        version=_word(told.get("version")),
        kernel=str(told.get("kernel", ""))[:64],
        built_at=str(told.get("built_at", ""))[:64],
        ca=_digest(told.get("ca", "")),
        files=tuple(files),
    )


def _word(value: object) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise InvalidInput("manifest.json", "has a name that is not one plain word")
    return value


def _digest(value: object) -> str:
    return value if isinstance(value, str) and _SHA256.fullmatch(value) else ""


def _file(name: object, about: Any) -> BootFile:
    size = about.get("size") if isinstance(about, Mapping) else None
    sha256 = about.get("sha256") if isinstance(about, Mapping) else None
    if not isinstance(size, int) or size < 0 or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise InvalidInput("manifest.json", "does not give size and checksum of each file")
    return BootFile(name=_word(name), size_bytes=size, sha256=sha256)


def menu(controller: str, sha256: str) -> str:
    """grub.cfg of terminals that reach the controller at this URL ("http://ADDRESS:PORT/").

    Nothing in it waits for a person, and it never ends at GRUB's prompt: what fails is said, and the PC starts again, so that it hears of a
    controller or kiosk that has changed. Raises InvalidInput.
    """
    found = _CONTROLLER.fullmatch(controller)
    if found is None:
        raise InvalidInput("controller", "must be a URL like http://10.77.0.1:8080/")
    if not _SHA256.fullmatch(sha256):
        raise InvalidInput("sha256", "must be 64 hexadecimal digits")
    place = f"(http,{found[1]})/boot"
    words = f"labvirt.url={controller} labvirt.image={controller}boot/{IMAGE} labvirt.sha256={sha256} ip=dhcp quiet"
    return f"""\
# Written by LabVirt. Changes made here are overwritten.
if linux {place}/vmlinuz {words}; then
    if initrd {place}/initrd.img; then
        boot
    fi
fi
echo "The controller {controller} does not give the kiosk. This computer tries again in {AGAIN_SECONDS} seconds."
sleep {AGAIN_SECONDS}
reboot
"""
