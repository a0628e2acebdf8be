# SPDX-License-Identifier: MIT
"""The errands about the kiosk: its recipe is run, and what it made becomes what terminals start with."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from labvirt.bootstrap.opening import paths_of
from labvirt.errors import HostNotReady

if TYPE_CHECKING:
    from labvirt.domain.kiosk import Kiosk

BUILD_SECONDS = 3600.0


def recipe() -> Path:
    """The program that builds the kiosk."""
    from labvirt.config import share_folder

    return share_folder("kiosk") / "image" / "build.py"


def build_kiosk(state: Path, out: Path | None, refresh: bool) -> Kiosk:
    """The kiosk is built, or reused from the cache, and is STATE/kiosk/current; with `out` it is there, and the state folder is as it was.
    Terminals take displays of this site's authority only, once the site is set up (`labvirt init`).

    Raises HostNotReady with the recipe's last words, DiskError, Exhausted('disk').
    """
    from labvirt.disks import boot_folder
    from labvirt.system.process import run

    # Debian's interpreter, where there is one: the recipe needs nothing of ours.
    argv = [shutil.which("python3", path="/usr/bin") or sys.executable, "-I", str(recipe()), "--json"]
    argv += ["--refresh"] if refresh else []
    argv += ["--out", str(out)] if out is not None else []
    result = run(argv, timeout=BUILD_SECONDS)
    if not result.ok:
        said = result.last_words.removeprefix("build.py: ")
        raise HostNotReady(f"The kiosk could not be built: {said}", hint="When that is mended: labvirt kiosk build")
    made = Path(str(json.loads(result.stdout)["path"]))
    if out is not None:
        return boot_folder.read(made)
    return boot_folder.install(made, paths_of(state).kiosk, _authority(state))


def _authority(state: Path) -> str:
    """The certificate (PEM) that this site's displays are signed with; empty while the site is not set up. Raises DriverError."""
    from labvirt.network.authority import FileAuthority

    paths = paths_of(state)
    return FileAuthority(paths.secrets).ca_pem() if paths.database.exists() else ""


def current_kiosk(state: Path) -> Kiosk:
    """What terminals of this site start with. Raises NotFound, DiskError."""
    from labvirt.disks import boot_folder

    return boot_folder.current(paths_of(state).kiosk)


def make_stick(state: Path, url: str, out: Path, words: str = "") -> Kiosk:
    """`out` is the image of a USB stick that starts this site's kiosk, and asks the controller at `url` for a newer one.

    `words` are more of the kernel's. Raises NotFound, InvalidInput, HostNotReady, DiskError, Exhausted('disk').
    """
    from labvirt.disks import boot_folder, stick

    site = paths_of(state).kiosk
    found = boot_folder.current(site)
    stick.make(site / found.version, found, url, out, words=words)
    return found
