#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the tiny guest: a Debian cloud kernel and busybox on a qcow2 disk that boots by itself.

Needs no root, mounts nothing and installs nothing: Debian packages are downloaded, unpacked into a temporary folder and
run from there. Standard library only, so that it runs before any environment exists. README.md says what the result
promises; guest/ is what runs inside it, tiny_recipe/ makes the disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the folder may be an installed package's, and is not ours to fill
RECIPE = Path(__file__).resolve().parent
sys.path[:0] = [str(RECIPE), str(RECIPE.parent)]  # its own modules, and labvirt_recipe, which all recipes share

from tiny_recipe.command import main  # noqa: E402 (the path must be known first)

if __name__ == "__main__":
    sys.exit(main())
