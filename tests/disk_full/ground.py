# SPDX-License-Identifier: MIT
"""A small file system of its own, in a mount namespace of its own: it ends with its process, however that ends.

What is free is bounded exactly: tmpfs is mounted anew with another size, on ext4 a file beside the state takes the rest.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOMY = 96 << 20
INODES = 20_000
ATTEMPTS = 20


class Tmpfs:
    """Mounted at `at`. Only for a process that `unshare --mount` started."""

    def __init__(self, at: Path) -> None:
        at.mkdir(parents=True, exist_ok=True)
        self.at = at
        _run("mount", "-t", "tmpfs", "-o", f"size={ROOMY},nr_inodes={INODES},mode=0755", "labvirt-disk-full", str(at))

    def bound(self, free: int) -> None:
        """So many bytes can be written from now (to the page)."""
        for left in reversed(range(ATTEMPTS)):
            found = os.statvfs(self.at)
            used = (found.f_blocks - found.f_bfree) * found.f_frsize
            try:
                self._again(f"size={used + free},nr_inodes={INODES}")
                return
            except subprocess.CalledProcessError:  # an engine at work has written meanwhile: the size is below what is used (EINVAL)
                if not left:
                    raise

    def bound_inodes(self, free: int) -> None:
        """So many files and folders can be made from now."""
        found = os.statvfs(self.at)
        self._again(f"size={ROOMY},nr_inodes={found.f_files - found.f_ffree + free}")

    def lock(self) -> None:
        """Nothing can be written from now. Files that are open for writing would refuse that."""
        self._again("ro")

    def lift(self) -> None:
        """There is room again."""
        self._again(f"rw,size={ROOMY},nr_inodes={INODES}")

    def _again(self, options: str) -> None:
        _run("mount", "-o", f"remount,{options}", str(self.at))


class Ext4:
    """As Tmpfs, on a file with a loop device, which goes with the mount."""

    def __init__(self, at: Path) -> None:
        at.mkdir(parents=True, exist_ok=True)
        self.at = at
        file = at.with_name(f"{at.name}.ext4")
        with file.open("wb") as made:
            made.truncate(ROOMY)
        _run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-N", str(INODES), str(file))
        _run("mount", "-o", "loop", str(file), str(at))
        self._rest = at / "rest"

    def bound(self, free: int) -> None:
        self.lift()
        os.sync()  # blocks whose allocation is delayed are not counted before
        descriptor = os.open(self._rest, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            size = 0
            while (left := os.statvfs(self.at).f_bavail * os.statvfs(self.at).f_frsize - free) >= 4096:
                try:
                    os.posix_fallocate(descriptor, size, left)
                    size += left
                except OSError:
                    os.posix_fallocate(descriptor, size, 4096)
                    size += 4096
        except OSError:
            pass  # the last block is one of the file system's own
        finally:
            os.close(descriptor)

    def bound_inodes(self, free: int) -> None:
        raise NotImplementedError

    def lock(self) -> None:
        _run("mount", "-o", "remount,ro", str(self.at))

    def lift(self) -> None:
        _run("mount", "-o", "remount,rw", str(self.at))
        self._rest.unlink(missing_ok=True)


Ground = Tmpfs | Ext4


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
