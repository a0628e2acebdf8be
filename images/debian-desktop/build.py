#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the desktop guest: a Debian 13 with Xfce, xrdp and both agents, as a qcow2 disk that starts with a BIOS or with UEFI.

Debian's packages come by mmdebstrap into a tar file that the cache keeps; the disk is made from it without mounting anything.
Standard library only. README.md says what the guest promises; desktop_recipe/ makes it of `packages` and `root/` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the folder may be an installed package's, and is not ours to fill
RECIPE = Path(__file__).resolve().parent
sys.path[:0] = [str(RECIPE), str(RECIPE.parent)]  # its own modules, and labvirt_recipe, which all recipes share

from desktop_recipe.command import main  # noqa: E402 (the path must be known first)

if __name__ == "__main__":
    sys.exit(main())
