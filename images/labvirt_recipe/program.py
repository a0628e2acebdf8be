# SPDX-License-Identifier: MIT
"""The programs that recipes run, and what is said when one is missing or fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from labvirt_recipe import RecipeError

PACKAGES = {
    "apt-cache": "apt",
    "apt-get": "apt",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "mcopy": "mtools",
    "mformat": "mtools",
    "mkfs.ext4": "e2fsprogs",
    "mksquashfs": "squashfs-tools",
    "mmd": "mtools",
    "qemu-img": "qemu-utils",
    "unshare": "util-linux",
    "xz": "xz-utils",
}
"""Which package of Debian has a program, where it is called otherwise."""

SPEAKER = "build.py: "
"""Before each sentence that a recipe says on its standard error."""

LONGEST_WORDS = 400
"""As much of what a program said as a sentence bears."""


def search_path(first: Path | None = None) -> str:
    """Where programs are looked for: `first`, the caller's PATH, and sbin, which an ordinary user's PATH does not name."""
    return ":".join(place for place in (str(first or ""), os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin:/sbin") if place)


def run(*argv: str | Path, data: bytes = b"", cwd: Path | None = None, first: Path | None = None) -> bytes:
    """What a program printed. A missing or failing program becomes a RecipeError with its last words.

    `first`: a folder whose programs are taken before those of this machine, also by the program itself.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": search_path(first), "MTOOLS_SKIP_CHECK": "1"}
    try:
        done = subprocess.run([str(word) for word in argv], cwd=cwd, env=environment, input=data, capture_output=True)
    except FileNotFoundError as error:
        raise RecipeError(missing([str(argv[0])])) from error
    if done.returncode != 0:
        said = reason((done.stderr.strip() or done.stdout.strip()).decode(errors="replace").splitlines())
        if said.startswith(SPEAKER):  # a recipe that was called by itself: its sentence is one already
            raise RecipeError(said.removeprefix(SPEAKER))
        raise RecipeError(f"The program {argv[0]} failed with status {done.returncode}: {said[:LONGEST_WORDS].rstrip('.')}.")
    return done.stdout


def reason(words: Sequence[str]) -> str:
    """The line that says why a program failed: its last one, but for those of which that says only that they end."""
    whys = [word for word in words if not word.startswith(("tar: Exiting with failure", "tar: Error is not recoverable"))]
    firsts = [word for word in whys if word.startswith(("E:", "FATAL"))]  # apt, mmdebstrap, depmod
    return (firsts or whys[-1:] or ["it said nothing"])[0]


def missing(names: Iterable[str]) -> str:
    """What to do about programs that are not there."""
    absent = sorted(names)
    if unpacked := [name for name in absent if "/" in name]:
        return f"The program {unpacked[0]} is missing from the packages that were unpacked: build again with --refresh."
    if debians := [name for name in absent if PACKAGES.get(name) in {"apt", "dpkg"}]:
        return f"The program {debians[0]} is missing: images are made from Debian's packages, so build them on Debian."
    packages = " ".join(sorted({PACKAGES.get(name, name) for name in absent}))
    return f"Programs that build this image are missing: install them with `apt-get install --no-install-recommends {packages}`."


def check(names: Iterable[str]) -> None:
    """Each of these programs is there. Said before minutes of work. Raises RecipeError."""
    if absent := [name for name in names if shutil.which(name, path=search_path()) is None]:
        raise RecipeError(missing(absent))
