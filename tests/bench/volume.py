# SPDX-License-Identifier: MIT
"""File systems of our own, each in a sparse file: one that shares blocks (XFS) and one that does not (ext4).

Mounted in the mount namespace of whoever asks. The loop device goes with the mount, and the mount with its namespace: `alone`
starts a program in one that ends when we do, however we end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labvirt.errors import HostNotReady
from tests.bench.ground import must

SECTOR = 512

_MAKE = {
    "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"),
    # Nothing is left to be initialised in the background while we measure.
    "ext4": ("mkfs.ext4", "-q", "-F", "-T", "largefile", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
}
_PACKAGE = {"xfs": "xfsprogs", "ext4": "e2fsprogs"}
KINDS = tuple(_MAKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    kind: str
    root: Path

    def settle(self) -> None:
        """Nothing of this file system waits to be written."""
        must(["sync", "-f", str(self.root)], timeout=600)

    def written_bytes(self) -> int:
        """To its block device since it was made, journal included (block/stat.rst of the kernel: the seventh field, sectors)."""
        device = os.stat(self.root).st_dev
        fields = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text(encoding="ascii").split()
        return int(fields[6]) * SECTOR


def make(kind: str, folder: Path, mib: int) -> Volume:
    """A new, empty file system of so many MiB, mounted below `folder`. Raises HostNotReady."""
    if shutil.which(_MAKE[kind][0]) is None:
        raise HostNotReady(f"There is no {_MAKE[kind][0]} on this host.", hint=f"apt-get install {_PACKAGE[kind]}")
    disk, root = folder / f"{kind}.img", folder / kind
    root.mkdir()
    with disk.open("xb") as file:
        file.truncate(mib << 20)
    must([*_MAKE[kind], str(disk)], timeout=600)
    # PRIVILEGE: CAP_SYS_ADMIN to mount a file that we made, in a mount namespace of our own.
    must(["mount", "-o", "loop", str(disk), str(root)])
    return Volume(kind=kind, root=root)


def alone(module: str, *words: str, timeout: float = 7200) -> str:
    """What the module says on stdout, run as a program with mounts and processes of its own: all of them end with it, and it with us.
    Raises HostNotReady when it fails; why, it has told stderr."""
    argv = (
        *("setpriv", "--pdeathsig=KILL", "--"),  # not TERM: unshare(1) blocks that
        *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
        *(sys.executable, "-m", module, *words),
    )
    result = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, timeout=timeout)
    if result.returncode:
        raise HostNotReady(f"{module} ended with code {result.returncode}.", hint="What it said last is above.")
    return result.stdout
