# SPDX-License-Identifier: MIT
"""The recipes' own packages are found where they lie, as each build.py finds them; behind all others: there is a build.py among them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path.extend(str(ROOT / folder) for folder in ("images", "images/tiny", "images/debian-desktop", "kiosk/image"))
