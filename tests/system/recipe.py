# SPDX-License-Identifier: MIT
"""What the recipes of this checkout make: the kiosk and the desktop guest."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def built(recipe: str) -> Path:
    """What this recipe makes, from its cache when nothing changed."""
    argv = ["/usr/bin/python3", "-I", str(ROOT / recipe), "--json"]
    told = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{told['path']}: {'built' if told['built'] else 'found'} in {told['seconds']:.0f} s", flush=True)
    return Path(told["path"])
