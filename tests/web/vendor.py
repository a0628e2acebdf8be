# SPDX-License-Identifier: MIT
"""What others wrote for the pages and for their tests, as the two vendor.json list it (.ci/vendor fetches it and writes them)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "labvirt" / "web" / "ui" / "static" / "vendor"
OF_TESTS = ROOT / "tests" / "browser" / "vendor"
LIST = "vendor.json"


def packages(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / LIST).read_text())["packages"])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
