# SPDX-License-Identifier: MIT
"""How the desktop guest is made; what it is made of lies beside this folder: `packages` and `root/`."""

from __future__ import annotations

from pathlib import Path

RECIPE = Path(__file__).resolve().parents[1]
ROOT = RECIPE / "root"
"""What is laid over Debian's files."""

USER = "student"
