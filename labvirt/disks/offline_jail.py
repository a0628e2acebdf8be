# SPDX-License-Identifier: MIT
"""Programs that read the inside of a disk, each in a jail of its own where that disk is one file.

qemu-storage-daemon shows the explicit chain as a file (FUSE) inside the jail's namespaces only; what is written to it goes to a
scratch overlay in memory, so a journal can be replayed and nothing outside changes. No host mount, no network, no capability for the
reader; of the host's files only /usr, the layers (read-only) and one folder to write.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.disks.failure import disk_full
from labvirt.errors import DiskError, DriverTimeout, HostNotReady, InUse
from labvirt.system import privileges
from labvirt.system.process import Result, run

DISK = "/scratch/disk"
TARGET = "/target"
PACKAGES = "apt-get install --no-install-recommends 7zip e2fsprogs util-linux bubblewrap qemu-utils qemu-system-common"
_FUSE = Path("/dev/fuse")
_SCRATCH_BYTES = 1 << 30
"""Most that a replayed journal may write, in memory. mke2fs makes journals of 1 GiB at most."""
_NO_DISK, _NO_TOOL = 90, 127
_SANDBOX = (
    "bwrap",
    *("--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--uid", "0", "--gid", "0", "--clearenv"),
    # PRIVILEGE: in the jail's own user namespace only: CAP_SYS_ADMIN to attach the FUSE file there, CAP_SETPCAP to give it up again.
    *("--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP"),
    *("--setenv", "LC_ALL", "C.UTF-8", "--setenv", "PATH", "/usr/bin:/usr/sbin", "--setenv", "MALLOC_ARENA_MAX", "2"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--dev-bind", str(_FUSE), str(_FUSE)),
    *("--size", str(_SCRATCH_BYTES), "--tmpfs", "/scratch"),
)
# A constant: what differs comes as its parameters, and none of them is read as a command line.
_SCRIPT = f"""
: > {DISK}
qemu-img create -q -f qcow2 /scratch/written.qcow2 "$2" >&2 || exit {_NO_DISK}
qemu-storage-daemon --blockdev "$1" --export type=fuse,id=disk,node-name=disk,mountpoint={DISK},writable=on \
    --daemonize --pidfile /scratch/pid >&2 || exit {_NO_DISK}
if [ "$3" = replay ]; then setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- e2fsck -E journal_only -y {DISK} >&2; fi
shift 3
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A range of the disk that the jail shows, in bytes. `replay`: the journal of ext3 or ext4 is replayed first."""

    start: int
    size: int
    replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Wall clock and processor seconds, bytes of addresses, of one written file, and of output that is kept."""

    seconds: int = 300
    address_bytes: int = 4 << 30
    file_bytes: int = 0
    output_bytes: int = 1 << 20


def read_inside(
    layers: Sequence[DiskLayer],
    part: Part,
    argv: Sequence[str],
    *,
    limits: Limits,
    target: Path | None = None,
    heard: Callable[[bytes], None] | None = None,
) -> Result:
    """The program has ended; it saw that part of the disk as the file DISK, and `target` as the folder TARGET. Never raises for what it
    does; see `refuse`. Raises HostNotReady."""
    if not _FUSE.exists():
        raise HostNotReady("Disks cannot be looked into on this host: it has no /dev/fuse.", hint="modprobe fuse")
    binds = [word for number, layer in enumerate(layers) for word in ("--ro-bind", str(layer.path), f"/layers/{number}")]
    if target is not None:
        binds += ["--bind", str(target), TARGET]
    bounds = (
        *("--core=0", "--nofile=256", f"--cpu={limits.seconds}", f"--as={limits.address_bytes}"),
        # The scratch overlay is a file too; the jail's own memory file system bounds it.
        f"--fsize={max(limits.file_bytes, _SCRATCH_BYTES)}",
    )
    before = () if privileges.is_root() else privileges.without_rights()
    script = ("sh", "-c", _SCRIPT, "sh", _chain(layers, part), str(part.size), "replay" if part.replay else "no")
    return run(
        (*before, *_SANDBOX, *binds, "--", "prlimit", *bounds, *script, *argv),
        timeout=limits.seconds,
        limit=limits.output_bytes,
        heard=heard,
    )


def refuse(result: Result, name: str, what: str) -> Exception:
    """The error for a result that is not a good one; `what` was to be done with `name`."""
    words = result.stderr.decode("utf-8", "replace")
    if result.timed_out:
        return DriverTimeout(
            f"{name}: its content could not be read in time.",
            operation=what,
            subject=name,
            hint="Try again when the host has less to do; a damaged file system never ends.",
        )
    if 'Failed to get shared "' in words or 'Failed to get "' in words:
        return InUse("disk", name, "a guest that runs on it")
    if "No space left on device" in words or result.code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
        return disk_full(name)
    missing = result.code == _NO_TOOL or "execvp" in words or "not found" in words or "failed to execute" in words
    if missing or words.startswith("bwrap:") or "fuse: device not found" in words or "Failed to start FUSE" in words:
        return HostNotReady(f"Disks cannot be looked into on this host: {result.last_words}.", hint=PACKAGES)
    return DiskError(
        f"{name}: its content cannot be read ({result.last_words}).",
        operation=what,
        subject=name,
        hint="The disk or its file system may be damaged. Starting it once more as a rescue guest may mend it.",
    )


def _chain(layers: Sequence[DiskLayer], part: Part) -> str:
    """The block device of the jail as JSON: the scratch overlay over that part of the explicit chain; nothing is probed."""
    chain: dict[str, object] | None = None
    for number, layer in reversed(tuple(enumerate(layers))):
        node: dict[str, object] = {
            "driver": layer.format,
            "read-only": True,
            "file": {"driver": "file", "filename": f"/layers/{number}", "read-only": True},
        }
        if layer.format == "qcow2":
            node["backing"] = chain  # null too: whatever the header names is not opened
        chain = node
    below = {"driver": "raw", "read-only": True, "offset": part.start, "size": part.size, "file": chain}
    written = {"driver": "file", "filename": "/scratch/written.qcow2"}
    return json.dumps({"driver": "qcow2", "node-name": "disk", "file": written, "backing": below})


def text_argument(path: str) -> str:
    """For argv: the bytes of a guest's file name as Python hands them to the kernel. Raises ValueError for a NUL."""
    if "\0" in path:
        raise ValueError("a path has no NUL")
    return os.fsdecode(os.fsencode(path))
