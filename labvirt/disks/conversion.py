# SPDX-License-Identifier: MIT
"""The one door to qemu-img: it runs where it sees one file to read and one folder to write, with bounds, and is told every format.

Sandbox (bubblewrap): no network, no capability, no other process, of the host's files only /usr. A file that names other files
finds none of them there, even if it was changed after its inspection.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path

from labvirt.disks.failure import disk_full
from labvirt.errors import DiskError, DriverTimeout, HostNotReady, ImageDamaged
from labvirt.system import privileges
from labvirt.system.process import Result, run

_SANDBOX = (
    "bwrap",
    *("--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--clearenv", "--setenv", "LC_ALL", "C"),
    *("--setenv", "MALLOC_ARENA_MAX", "2"),  # else glibc reserves 64 MiB of addresses per thread, and they count
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *("--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev"),
)
_FULL = ("No space left on device", "Disk quota exceeded", "File too large")
_CHECK_CORRUPT, _CHECK_LEAKS = 2, 3
"""Exit codes of `qemu-img check` (qemu-img(1)): 3 is leaked clusters only, which waste space and harm nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What qemu-img may use: wall clock and processor seconds, bytes of addresses, and bytes of one written file."""

    seconds: int = 3600
    cpu_seconds: int = 3600
    address_bytes: int = 2 << 30
    file_bytes: int | None = None


def check_qcow2(source: Path, *, name: str, bounds: Bounds | None = None) -> None:
    """Every table of the qcow2 file `source` leads somewhere inside it. Reads its metadata only. Repairs nothing.

    Raises ImageDamaged (names `name`), DriverTimeout, HostNotReady, DiskError.
    """
    result = _run(("check", "-f", "qcow2", "--output=json", "/source"), source, None, bounds or Bounds(seconds=300, cpu_seconds=300))
    if result.ok or result.code == _CHECK_LEAKS:
        return
    if result.code in (1, _CHECK_CORRUPT):
        raise ImageDamaged(
            f"{name} is not accepted: its tables are damaged ({_corruptions(result)}).",
            operation="check",
            subject=name,
            hint="Take another copy of it; it is never repaired here.",
        )
    raise _failure(result, "check", name)


def convert(source: Path, target: Path, *, source_format: str, name: str, bounds: Bounds) -> None:
    """`target` is a new, complete qcow2 file with the content of `source`. Not fsynced. After a failure it does not exist.

    Raises ImageDamaged, Exhausted('disk'), DriverTimeout, HostNotReady, DiskError.
    """
    argv = ("convert", "-f", source_format, "-O", "qcow2", "/source", f"/target/{target.name}")
    try:
        result = _run(argv, source, target.parent, bounds)
        if not result.ok:
            raise _failure(result, "convert", name)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _run(arguments: tuple[str, ...], source: Path, target: Path | None, bounds: Bounds) -> Result:
    limits = ["prlimit", "--core=0", "--nofile=256", f"--cpu={bounds.cpu_seconds}", f"--as={bounds.address_bytes}"]
    if bounds.file_bytes is not None:
        limits.append(f"--fsize={bounds.file_bytes}")
    binds = ["--ro-bind", str(source), "/source"]
    if target is not None:
        binds += ["--bind", str(target), "/target"]
    # bubblewrap refuses to be started with capabilities by somebody who is not root: the engine's ambient ones go first.
    before = () if privileges.is_root() else privileges.without_rights()
    return run((*before, *_SANDBOX, *binds, "--", *limits, "qemu-img", *arguments), timeout=bounds.seconds)


def _failure(result: Result, operation: str, name: str) -> Exception:
    words = result.stderr.decode("utf-8", "replace")
    if result.timed_out:
        return DriverTimeout(
            f"{name}: qemu-img did not end in time.", operation=operation, subject=name, hint="Try again when the host has less to do."
        )
    if any(word in words for word in _FULL) or result.code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
        return disk_full(name)
    if result.code == 127 or "execvp" in words or "Creating new namespace failed" in words or "bwrap:" in words:
        return HostNotReady(
            f"Disk images cannot be converted on this host: {result.last_words}.", hint="apt-get install qemu-utils bubblewrap util-linux"
        )
    if result.code in (-signal.SIGXCPU, 128 + signal.SIGXCPU, -signal.SIGKILL, 128 + signal.SIGKILL):
        return ImageDamaged(
            f"{name} is not accepted: to read it takes more than is allowed.",
            operation=operation,
            subject=name,
            hint="Take another copy of it.",
        )
    return DiskError(
        f"{name}: qemu-img could not {operation} it: {result.last_words}.",
        operation=operation,
        subject=name,
        hint="Look at the file by hand: qemu-img check -f FORMAT FILE.",
    )


def _corruptions(result: Result) -> str:
    try:
        found = json.loads(result.stdout)
    except ValueError:
        return result.last_words
    return f"{found.get('corruptions', 0)} corruptions, {found.get('check-errors', 0)} errors"
