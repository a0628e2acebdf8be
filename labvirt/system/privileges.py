# SPDX-License-Identifier: MIT
"""What this process may do, and how a program is started that may do less.

Rights are only ever dropped here, never taken.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# linux/capability.h; only those that LabVirt speaks of.
CAPABILITIES = {
    "chown": 0,
    "dac_override": 1,
    "setgid": 6,
    "setuid": 7,
    "setpcap": 8,
    "net_bind_service": 10,
    "net_admin": 12,
    "net_raw": 13,
    "sys_admin": 21,
}


def is_root() -> bool:
    return os.geteuid() == 0


def held_capabilities() -> frozenset[str]:
    """Those of CAPABILITIES that are effective in this process (/proc/self/status, CapEff)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            mask = int(line.split()[1], 16)
            return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)
    return frozenset()


def without_rights() -> tuple[str, ...]:
    """A prefix of argv: the program after it has no capability and can get none (setpriv(1), no_new_privs).

    As root it stays user 0, but a user 0 without CAP_DAC_OVERRIDE and the like; see `as_user` for another one.
    """
    # Only who holds CAP_SETPCAP may shrink the bounding set: capabilities(7).
    bounding = ("--bounding-set=-all",) if "setpcap" in held_capabilities() else ()
    return "setpriv", "--inh-caps=-all", "--ambient-caps=-all", *bounding, "--no-new-privs", "--"


def without_inherited_rights() -> tuple[str, ...]:
    """Like `without_rights`, for who is not root: the bounding set stays, and with no_new_privs it is of no use."""
    return "setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"


def no_rights_as_root() -> tuple[str, ...]:
    """Like `without_rights`, for a place where CAP_SETPCAP is held for certain (inside a sandbox that root makes)."""
    return "setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"


def as_user(uid: int, *, groups: Sequence[int] = ()) -> tuple[str, ...]:
    """A prefix of argv for root: the program after it is user and group `uid`, has no group but `groups`, no
    capability, and can get none.
    """
    if uid <= 0:
        raise ValueError("a guest's user is never root")
    # PRIVILEGE: CAP_SETUID, CAP_SETGID, CAP_SETPCAP, used by setpriv and gone before the program begins. `uid` is a
    # positive number.
    return (
        "setpriv",
        f"--reuid={uid}",
        f"--regid={uid}",
        f"--groups={','.join(map(str, groups))}" if groups else "--clear-groups",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
        "--",
    )


def ends_with_parent() -> tuple[str, ...]:
    """A prefix of argv: the program after it gets SIGTERM when the thread that started it ends (PR_SET_PDEATHSIG,
    prctl(2)).

    Start such programs from the main thread. Goes outside of `without_rights`: a change of credentials would clear it.
    """
    return ("setpriv", "--pdeathsig=TERM", "--")
