# SPDX-License-Identifier: MIT
"""Run as a program: `leash.py PARENT PROGRAM ARGUMENT...` becomes PROGRAM, which the kernel kills when the kiosk dies.

The order closes the race: first the wish (prctl), then the look whether the parent is still the kiosk. A kiosk that
died before the wish is seen by the look, one that dies after it by the kernel. The wish survives exec (not of a setuid
program; no viewer is one) and is tied to the thread that forked: the kiosk starts viewers from its main thread only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2]
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        sys.exit(f"the kernel refuses to tie {program} to the kiosk: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the kiosk ended before its viewer started")
    try:
        os.execv(program, sys.argv[2:])  # noqa: S606  (no shell is the wish; the allow-list was asked before)
    except OSError as error:
        sys.exit(f"{program} does not start: {error.strerror}")


if __name__ == "__main__":
    main()
