# SPDX-License-Identifier: MIT
"""What the gateway of a lab gives by TFTP: the boot loaders, and the menu that they look for. Everything else goes by HTTP.

The loaders are copies: the server sees nothing but its lab's folder.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from labvirt.contracts.dhcp import NetworkBoot
from labvirt.domain.kiosk import LOADERS, MENU, menu
from labvirt.errors import DhcpError
from labvirt.system import files


def digests(boot: NetworkBoot | None) -> dict[str, str]:
    """SHA-256 of each file, by its name under the root; nothing without network boot. Reads no file. Raises InvalidInput."""
    if boot is None:
        return {}
    known = {file.name: file.sha256 for file in boot.kiosk.files}
    return {**{name: known[name] for name in LOADERS}, MENU: hashlib.sha256(_menu(boot)).hexdigest()}


def lay(root: Path, boot: NetworkBoot | None) -> None:
    """`root` holds exactly these files, each whole at every moment. Raises OSError, and DhcpError for a loader that is damaged."""
    if boot is None:
        if root.is_dir():
            files.remove_tree(root)
        return
    _folder(root)
    known = digests(boot)
    for name in LOADERS:
        content = (boot.folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != known[name]:
            raise DhcpError(
                f"The boot loader {boot.folder / name} is damaged.",
                operation="copy",
                subject=name,
                hint="Build it again: labvirt kiosk build",
            )
        files.write_atomic(root / name, content, mode=0o644)
    _folder((root / MENU).parent)
    files.write_atomic(root / MENU, _menu(boot), mode=0o644)


def _menu(boot: NetworkBoot) -> bytes:
    return menu(boot.controller, boot.kiosk.image_sha256).encode()


def _folder(path: Path) -> Path:
    # Open to everybody: the server has a user of its own, and there is no secret in it.
    return files.private_folder(path, mode=0o755)
