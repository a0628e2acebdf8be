# SPDX-License-Identifier: MIT
"""A foreign file becomes a version, and so does an empty disk. What is inspected by both readers is what is converted: our own copy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.images import Progress, StoredVersion
from labvirt.disks import conversion, copying, second_opinion
from labvirt.disks.digest import Steps
from labvirt.disks.failure import translated
from labvirt.disks.inspection import Facts, inspect, open_regular
from labvirt.disks.jail import Bounds
from labvirt.disks.places import DISK
from labvirt.disks.qcow2_header import render_blank
from labvirt.disks.shelf import shelve
from labvirt.disks.staging import staging
from labvirt.domain.names import check_name
from labvirt.errors import DiskError, InvalidInput


def import_version(root: Path, source: Path, *, format: str, image: str, number: int, largest: int, progress: Progress) -> StoredVersion:
    """See contracts.images."""
    check_label(image, number)
    name = source.name
    descriptor = open_regular(source)
    try:
        with translated("import", name):
            facts = _inspect(descriptor, format, name, largest)  # before gigabytes are copied
            root.mkdir(parents=True, exist_ok=True)
            made_bytes = estimated((DiskLayer(path=source, format=format),), name)
            copying.need(root, made_bytes, name)  # a full disk is said before anything is made
            steps = Steps(progress, facts.size_bytes, facts.size_bytes, facts.size_bytes // 4)
            with staging(root) as stage:
                copy = stage / "source"
                if not copying.can_share(descriptor, stage):  # before gigabytes are copied
                    copying.need(root, made_bytes + copying.data_bytes(os.fstat(descriptor)), name)
                copying.copy(descriptor, copy, name=name, progress=steps.next())
                facts = _inspect_again(copy, format, name, largest)
                if format == "qcow2":
                    conversion.check_qcow2(copy, name=name)
                made = stage / "version"
                made.mkdir(mode=0o755)
                chain = (DiskLayer(path=copy, format=format),)
                copying.need(root, conversion.measure(chain, name=name), name)
                bounds = Bounds.for_bytes(facts.virtual_bytes, file_bytes=largest_file(root, facts))
                weight = facts.size_bytes
                conversion.convert(chain, made / DISK, name=name, bounds=bounds, progress=steps.next(), weight=weight)
                copy.unlink()
                return shelve(root, made, image=image, number=number, largest=largest, progress=steps.next())
    finally:
        os.close(descriptor)


def blank_version(root: Path, *, virtual_bytes: int, image: str, number: int, largest: int) -> StoredVersion:
    """See contracts.images."""
    check_label(image, number)
    if not 0 < virtual_bytes <= largest or virtual_bytes % 512:
        raise InvalidInput("size", f"must be between 1 MiB and {largest >> 30} GiB", hint="For instance: --size 32G")
    empty = render_blank(virtual_bytes=virtual_bytes)
    with translated("make", f"{image} v{number}"):
        root.mkdir(parents=True, exist_ok=True)
        copying.need(root, empty.length_bytes, f"{image} v{number}")
        with staging(root) as stage:
            made = stage / "version"
            made.mkdir(mode=0o755)
            with (made / DISK).open("xb") as file:
                for offset, content in empty.pieces:
                    file.seek(offset)
                    file.write(content)
                file.truncate(empty.length_bytes)
            return shelve(root, made, image=image, number=number, largest=largest)


def estimated(chain: Sequence[DiskLayer], name: str) -> int:
    """Bytes that a conversion will need, as far as can be said of files that were not looked through yet; 0 when nothing can: what is
    wrong with them is said later, in better words. Raises DriverTimeout, HostNotReady."""
    try:
        return conversion.measure(chain, name=name)
    except DiskError:
        return 0


def check_label(image: str, number: int) -> None:
    """Raises InvalidInput."""
    check_name(image, "image")
    if number < 1:
        raise InvalidInput("version", "must be 1 or more")


def largest_file(root: Path, facts: Facts) -> int:
    """Bytes that a converted file may have: all of the disk plus its tables (a 64 KiB L2 table maps 512 MiB), or what is free."""
    whole = facts.virtual_bytes + (facts.virtual_bytes >> 10) + (8 << 20)
    return min(whole, max(copying.free(root), 1 << 20))


def _inspect(descriptor: int, format: str, name: str, largest: int) -> Facts:
    facts = inspect(descriptor, format=format, name=name, largest=largest)
    second_opinion.agree(descriptor, facts, name=name)
    return facts


def _inspect_again(path: Path, format: str, name: str, largest: int) -> Facts:
    descriptor = open_regular(path)
    try:
        return _inspect(descriptor, format, name, largest)
    finally:
        os.close(descriptor)
