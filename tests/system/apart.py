# SPDX-License-Identifier: MIT
"""Long proofs run apart: in a network with nothing but a loopback interface, as processes of their own that end with the first, in a folder
that is gone afterwards. A program calls `folder()`: None means that it is still outside, and `again` runs it once more, inside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.system import ending

_INSIDE = "LABVIRT_TEST_APART"


def folder() -> Path | None:
    """The folder for everything this run writes; None outside."""
    inside = os.environ.get(_INSIDE)
    return Path(inside) if inside else None


def again(name: str, more: Sequence[str] = (), *, own_proc: bool = False) -> int:
    """The exit code of this very program with the arguments `more` added, run apart. `name` begins the folder's name; `own_proc`: /proc
    shows its processes only, which takes root."""
    ending.in_order()
    # PRIVILEGE: root, or a user namespace: a network of our own with a loopback interface only, and processes of our own, so that all
    # of them are gone when the first is.
    apart = ["unshare", "--net", "--pid", "--fork", "--kill-child"]
    if own_proc:
        apart += ["--mount-proc"]
    elif os.geteuid() != 0:
        apart += ["--map-root-user"]
    inner = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", *sys.orig_argv, *more]
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as made:
        return subprocess.run([*apart, *inner], env={**os.environ, _INSIDE: made, "TMPDIR": made}).returncode
