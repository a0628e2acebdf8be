# SPDX-License-Identifier: MIT
"""The recipe's own package, and the one that all recipes share, are found where they lie, as build.py finds them."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

sys.path.extend(str(ROOT / folder) for folder in ("images", "kiosk/image"))
