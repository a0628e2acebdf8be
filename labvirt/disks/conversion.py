# SPDX-License-Identifier: MIT
"""What qemu-img is asked to do, each verb in the jail (jail.py) and with every format told. Foreign words become sentences here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress, silent
from labvirt.disks.jail import TARGET, Bounds, Jail
from labvirt.errors import ImageDamaged
from labvirt.system.process import Result

__all__ = ["Bounds", "check_qcow2", "commit", "compare", "convert", "measure"]

_CHECK_CORRUPT, _CHECK_LEAKS = 2, 3
"""Exit codes of `qemu-img check` (qemu-img(1)): 3 is leaked clusters only, which waste space and harm nothing."""
_DIFFERENT = 1
"""Exit code of `qemu-img compare` (qemu-img(1)): both could be read, and they differ."""


def check_qcow2(source: Path, *, name: str, bounds: Bounds | None = None) -> None:
    """Every table of the qcow2 file `source` leads somewhere inside it. Reads its metadata only, and no file below it. Repairs nothing.

    Raises ImageDamaged (names `name`), DriverTimeout, HostNotReady, DiskError.
    """
    jail = Jail(name=name)
    node = jail.node((DiskLayer(path=source, format="qcow2"),))
    result = jail.run("check", "--output=json", node, bounds=bounds or Bounds(seconds=300, cpu_seconds=300))
    if result.ok or result.code == _CHECK_LEAKS:
        return
    if result.code in (1, _CHECK_CORRUPT):
        raise ImageDamaged(
            f"{name} is not accepted: its tables are damaged ({_corruptions(result)}).",
            operation="check",
            subject=name,
            hint="Take another copy of it; it is never repaired here.",
        )
    raise jail.failure(result, "check")


def convert(
    chain: Sequence[DiskLayer],
    target: Path,
    *,
    name: str,
    bounds: Bounds,
    format: str = "qcow2",
    compress: bool = False,
    progress: Progress = silent,
    weight: int = 0,
) -> None:
    """`target` is a new, complete file with what a guest sees in `chain`. Not fsynced. After a failure it does not exist.

    Raises ImageDamaged, Exhausted('disk'), DriverTimeout, HostNotReady, DiskError, and what `progress` (of `weight`) raises.
    """
    jail = Jail(name=name, folder=target.parent)
    packed = ("-c",) if compress else ()
    try:
        argv = ("convert", "-p", *packed, "-O", format, jail.node(chain), f"{TARGET}/{target.name}")
        result = jail.run(*argv, bounds=bounds, progress=progress, weight=weight)
        if not result.ok:
            raise jail.failure(result, "convert")
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def measure(chain: Sequence[DiskLayer], *, name: str, format: str = "qcow2") -> int:
    """Bytes that `convert` will need at most. Raises as it."""
    jail = Jail(name=name)
    result = jail.run("measure", "--output=json", "-O", format, jail.node(chain), bounds=Bounds(seconds=600, cpu_seconds=600))
    if not result.ok:
        raise jail.failure(result, "measure")
    return int(json.loads(result.stdout)["required"])


def compare(
    one: Sequence[DiskLayer], other: Sequence[DiskLayer], *, name: str, bounds: Bounds, progress: Progress = silent, weight: int = 0
) -> None:
    """A guest sees the same in both. Raises ImageDamaged when it does not; DriverTimeout, HostNotReady, DiskError."""
    jail = Jail(name=name)
    result = jail.run("compare", "-p", jail.node(one), jail.node(other), bounds=bounds, progress=progress, weight=weight)
    if result.code == _DIFFERENT and not result.timed_out:
        raise ImageDamaged(
            f"{name}: the copy is not like its original ({result.last_words}).",
            operation="compare",
            subject=name,
            hint="Nothing was changed. Try again; if it happens again, check the host's memory and disks.",
        )
    if not result.ok:
        raise jail.failure(result, "compare")


def commit(folder: Path, overlay: str, base: str, *, name: str, bounds: Bounds, progress: Progress = silent, weight: int = 0) -> None:
    """The overlay's changes are in the file `base`; both are qcow2 files of ours in `folder`, which nobody else knows. Not fsynced.

    Raises as `convert`; then `base` is of no use.
    """
    jail = Jail(name=name, folder=folder)
    result = jail.run("commit", "-p", "-d", jail.writable((overlay, base)), bounds=bounds, progress=progress, weight=weight)
    if not result.ok:
        raise jail.failure(result, "commit")


def _corruptions(result: Result) -> str:
    try:
        found = json.loads(result.stdout)
    except ValueError:
        return result.last_words
    return f"{found.get('corruptions', 0)} corruptions, {found.get('check-errors', 0)} errors"
