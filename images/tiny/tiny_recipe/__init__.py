# SPDX-License-Identifier: MIT
"""How the tiny guest is made; what runs inside it lies beside this folder: `guest/`."""

from __future__ import annotations

from pathlib import Path

RECIPE = Path(__file__).resolve().parents[1]
GUEST = RECIPE / "guest"
