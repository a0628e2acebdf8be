# SPDX-License-Identifier: MIT
"""How the kiosk's operating system is made; what it is made of lies beside this folder: three lists, `initrd/`, `root/`."""

from __future__ import annotations

from pathlib import Path

RECIPE = Path(__file__).resolve().parents[1]
KIOSK = RECIPE.parent
ROOT, INITRD = RECIPE / "root", RECIPE / "initrd"
"""What is laid over Debian's files, and what the initial file system has of ours."""

KIOSK_PARTS = ("labvirt-kiosk", "labvirt-kiosk-face", "labvirt_kiosk", "locale")
"""Of the folder kiosk/, where they are there: what goes into the image."""
