# SPDX-License-Identifier: MIT
"""What the recipes of images share (tiny, debian-desktop, kiosk): how they run programs, keep a cache, take Debian's packages and end.

Standard library only: a bare Debian python3 runs them, so nothing of `labvirt/` is imported. It lies in `images/` because both a
checkout and an installed LabVirt have that folder beside `kiosk/`; each build.py puts it on its path. No disk is built here alone.
Every file here is in the content key of every image.
"""

from __future__ import annotations


class RecipeError(Exception):
    """The image cannot be built; the message is one sentence that says what to do."""
