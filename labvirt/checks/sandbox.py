# SPDX-License-Identifier: MIT
"""The place in which check files run, as argv: pure. They see /usr, pytest, themselves, and descriptors to the guest; nothing else.

1. bubblewrap: own mount, pid, ipc and uts namespaces; the network stays, because the guest is reached through it.
2. As root they become the guest's own user (or nobody) after the mounts, with no capability and no way to get one; not as
   root a user namespace gives the right to mount.
3. prlimit bounds processes, memory, processor seconds and files; the caller bounds the time. --die-with-parent: nothing stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labvirt.system import privileges

NOBODY = 65534
PROCESSES = 64
ADDRESS_BYTES = 1 << 30
FILE_BYTES = 64 << 20
SCRATCH_BYTES = 64 << 20
CHECKS, INSIDE, SITE = "/checks", "/inside", "/site"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`files`: name inside -> file outside. `packages`: the folder from which pytest is imported. `python` lies in /usr or in `base`."""

    files: Mapping[str, Path]
    inside: Path
    packages: Path
    python: Path
    base: Path
    environment: Mapping[str, str]
    seconds: int


def argv(place: Place, arguments: Sequence[str], *, root: bool, uid: int | None) -> tuple[str, ...]:
    """bubblewrap around python3 with `arguments`."""
    words = ["bwrap"] if root else [*privileges.without_inherited_rights(), "bwrap", "--unshare-user", "--uid", str(NOBODY)]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session", "--hostname", "checks", "--clearenv"]
    for name, value in place.environment.items():
        words += ["--setenv", name, value]
    words += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    for folder in ("/etc", CHECKS, INSIDE):  # bubblewrap would make them for root's eyes only
        words += ["--perms", "0755", "--dir", folder]
    if not place.python.is_relative_to("/usr"):
        for parent in reversed(place.base.parents[:-1]):
            words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--ro-bind", str(place.base), str(place.base)]
    words += ["--ro-bind", str(place.packages), SITE, "--ro-bind", str(place.inside), f"{INSIDE}/labvirt_check"]
    for name, path in place.files.items():
        words += ["--ro-bind", str(path), f"{CHECKS}/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(SCRATCH_BYTES), "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - inside
    words += ["--remount-ro", "/", "--chdir", CHECKS, "--"]
    if root:
        # PRIVILEGE: root, for the mounts and for becoming another user; both are over before python3 begins.
        words += privileges.as_user(uid if uid is not None and uid > 0 else NOBODY)
    words += ["prlimit", "--core=0", "--nofile=256", f"--nproc={PROCESSES}", f"--as={ADDRESS_BYTES}"]
    words += [f"--fsize={FILE_BYTES}", f"--cpu={place.seconds}", "--", str(place.python), *arguments]
    return tuple(words)
