# SPDX-License-Identifier: MIT
"""The one way in which qemu-img is started: it sees some files to read and one folder to write, with bounds, and guesses nothing.

Sandbox (bubblewrap): no network, no capability, no other process, of the host's files only /usr. A file that names other files
finds none of them there, even if it was changed after its inspection. Every chain is told explicitly, each file with its driver.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress
from labvirt.disks.failure import TOO_MANY_OPEN, disk_full
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
_PERCENT = re.compile(rb"\((\d{1,3}(?:\.\d+)?)/100%\)")
TARGET = "/target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What qemu-img may use: wall clock and processor seconds, bytes of addresses, and bytes of one written file."""

    seconds: int = 3600
    cpu_seconds: int = 3600
    address_bytes: int = 2 << 30
    file_bytes: int | None = None

    @classmethod
    def for_bytes(cls, amount: int, *, file_bytes: int | None = None) -> Bounds:
        """For work that reads or writes so much: an hour, or longer where it takes longer at 8 MiB a second."""
        seconds = max(3600, amount >> 23)
        return cls(seconds=seconds, cpu_seconds=seconds, file_bytes=file_bytes)


class Jail:
    """The files and the folder that one qemu-img may see. `node` and `inside` say how they are called in there."""

    def __init__(self, *, name: str, folder: Path | None = None) -> None:
        """`name` is what people call the thing that is worked on; `folder` may be written (it is TARGET in there)."""
        self._name = name
        self._folder = folder
        self._files: list[Path] = []

    def node(self, chain: Sequence[DiskLayer]) -> str:
        """The explicit chain, top first, as a filename of qemu-img. Its files may be read, nothing below the last one is looked for."""
        found: dict[str, object] | None = None
        for layer in reversed(chain):
            self._files.append(layer.path)
            found = _block(layer.format, f"/files/{len(self._files) - 1}", found)
        return "json:" + json.dumps(found)

    def writable(self, names: Sequence[str]) -> str:
        """A chain of qcow2 files of the folder, top first, as a filename of qemu-img."""
        found: dict[str, object] | None = None
        for name in reversed(names):
            found = _block("qcow2", f"{TARGET}/{name}", found)
        return "json:" + json.dumps(found)

    def run(self, *arguments: str, bounds: Bounds, progress: Progress | None = None, weight: int = 0) -> Result:
        """qemu-img has ended. With `progress` (needs `-p` among the arguments) it is told how much of `weight` is done, at least twice
        a second; what it raises ends qemu-img. Never raises for what qemu-img does."""
        limits = ["prlimit", "--core=0", "--nofile=256", f"--cpu={bounds.cpu_seconds}", f"--as={bounds.address_bytes}"]
        if bounds.file_bytes is not None:
            limits.append(f"--fsize={bounds.file_bytes}")
        binds = [word for number, file in enumerate(self._files) for word in ("--ro-bind", str(file), f"/files/{number}")]
        if self._folder is not None:
            binds += ["--bind", str(self._folder), TARGET]
        # bubblewrap refuses to be started with capabilities by somebody who is not root: the engine's ambient ones go first.
        before = () if privileges.is_root() else privileges.without_rights()
        argv = (*before, *_SANDBOX, *binds, "--", *limits, "qemu-img", *arguments)
        return run(argv, timeout=bounds.seconds, heard=None if progress is None else _listener(progress, weight))

    def failure(self, result: Result, operation: str) -> Exception:
        """What to tell people about a result that is not a good one."""
        name, words = self._name, result.stderr.decode("utf-8", "replace")
        if result.timed_out:
            return DriverTimeout(
                f"{name}: qemu-img did not end in time.", operation=operation, subject=name, hint="Try again when the host has less to do."
            )
        if any(word in words for word in _FULL) or result.code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ):
            return disk_full(name)
        if "Too many open files" in result.last_words:
            return HostNotReady(f"qemu-img cannot {operation} {name}: {result.last_words}.", hint=TOO_MANY_OPEN)
        if result.code == 127 or "execvp" in words or "Creating new namespace failed" in words or "bwrap:" in words:
            return HostNotReady(
                f"Disk images cannot be converted on this host: {result.last_words}.",
                hint="apt-get install qemu-utils bubblewrap util-linux",
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


def _block(driver: str, filename: str, backing: dict[str, object] | None) -> dict[str, object]:
    node: dict[str, object] = {"driver": driver, "file": {"driver": "file", "filename": filename}}
    if driver == "qcow2":
        node["backing"] = backing  # null too: whatever the header names is not opened
    return node


def _listener(progress: Progress, weight: int) -> Callable[[bytes], None]:
    rest, told = b"", 0

    def heard(piece: bytes) -> None:
        nonlocal rest, told
        rest = (rest + piece)[-200:]
        found = _PERCENT.findall(rest)
        if found:
            told = int(weight * float(found[-1]) / 100)
        progress(told, weight)

    return heard
