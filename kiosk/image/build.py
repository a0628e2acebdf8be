#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Builds the kiosk: a Debian 13 in one squashfs file, with the kernel, the initial file system and the boot loaders to start it.

Debian's packages come by mmdebstrap into a tar file that the cache keeps; all after that needs no root and mounts nothing.
Standard library only. README.md says what the result is; kiosk_recipe/ makes it of the lists, `initrd/` and `root/` beside this file.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the folder may be an installed package's, and is not ours to fill
RECIPE = Path(__file__).resolve().parent
# Its own modules, and labvirt_recipe, which all recipes share: images/ lies beside kiosk/, in a checkout as in an installed LabVirt.
sys.path[:0] = [str(RECIPE), str(RECIPE.parents[1] / "images")]

from kiosk_recipe.command import main  # noqa: E402 (the path must be known first)

if __name__ == "__main__":
    sys.exit(main())
