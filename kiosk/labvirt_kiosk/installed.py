# SPDX-License-Identifier: MIT
"""Which viewers this terminal has. Looks at PATH and asks xfreerdp for its version; starts nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess

from labvirt_kiosk.trouble import Refused
from labvirt_kiosk.viewer_command import PROGRAMS, Program


def find(name: str) -> Program:
    """The installed program for `name` of the allow-list. Raises Refused with what to install."""
    path = next(filter(None, map(shutil.which, PROGRAMS[name])), None)
    if path is None:
        raise Refused(f"The program {name} is not installed on this terminal; tell your administrator")
    return Program(name=name, path=path, major=_freerdp_major(path) if name == "xfreerdp" else None)


def _freerdp_major(path: str) -> int:
    """2 or 3 and later: they take the password in different ways. xfreerdp 2 tells its version only on a display."""
    if path.endswith("3"):
        return 3
    try:
        told = subprocess.run([path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False).stdout.decode(
            "utf-8", "replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused("xfreerdp is installed on this terminal, but does not start; tell your administrator") from error
    found = re.search(r"version (\d+)\.", told)
    if found is None:
        raise Refused("xfreerdp does not tell its version (is there a display?); tell your administrator")
    return int(found[1])
