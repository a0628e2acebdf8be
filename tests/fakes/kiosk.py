# SPDX-License-Identifier: MIT
"""A kiosk that nothing can boot: small files in the places of a real boot folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from labvirt.disks import boot_folder
from labvirt.domain.kiosk import MANIFEST, NEEDED, Kiosk, kiosk_of


def contents(version: str = "one") -> dict[str, bytes]:
    """Every file of it; those of another version are others."""
    return {name: f"{name} of {version} ".encode() * (20_000 if name == "kiosk.squashfs" else 700) for name in NEEDED}


def make(folder: Path, files: dict[str, bytes]) -> Path:
    """A boot folder with these files, and small ones in the other places."""
    folder.mkdir()
    about = {}
    for name, data in (contents() | files).items():
        (folder / name).write_bytes(data)
        about[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / MANIFEST).write_text(json.dumps(told() | {"files": about}))
    return folder


def told(version: str = "one") -> dict[str, object]:
    """Its manifest."""
    about = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents(version).items()}
    return {"version": version, "kernel": "6.12", "built_at": "2026-11-27", "files": about}


def kiosk(version: str = "one") -> Kiosk:
    return kiosk_of(told(version))


def install(site: Path, version: str = "one") -> Kiosk:
    """It is what terminals of the site start with (STATE/kiosk)."""
    made = site.parent / f"made-{version}"
    made.mkdir(exist_ok=True)
    for name, data in contents(version).items():
        (made / name).write_bytes(data)
    (made / MANIFEST).write_text(json.dumps(told(version)))
    return boot_folder.install(made, site)
