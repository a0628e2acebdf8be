# SPDX-License-Identifier: MIT
"""Where disks lie: folders that must share a file system, whether it can share blocks, and room for drafts and kept overlays.

Nothing is left behind: what is tried is tried with files that have no name.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.host import Machine
from labvirt.domain.findings import Finding, Severity
from labvirt.system import reflink

FUSE = Path("/dev/fuse")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFolders:
    """The folders of the state folder in which disks lie (they need not exist yet), and the setting rescue_budget_mib."""

    images: Path
    drafts: Path
    runs: Path
    kept: Path
    budget_mib: int


def storage(folders: DiskFolders, machine: Machine) -> tuple[Finding, ...]:
    """All findings of this module. A folder that may not be looked into is a finding too."""
    try:
        apart = one_file_system(folders)
        return (*apart, *(() if apart else sharing(folders)), *room(folders, machine))
    except OSError as error:
        return (
            Finding(
                code="state-unreadable",
                severity=Severity.ERROR,
                subject=str(error.filename or folders.images.parent),
                sentence=f"Its disks cannot be looked at: {error.strerror}.",
                fix="Run labvirt doctor as the user who runs labvirt serve.",
            ),
        )


def one_file_system(folders: DiskFolders) -> tuple[Finding, ...]:
    """A draft has a second name in its session's run, and what a run wrote is moved to what is kept: neither can cross a mount. Versions
    are copied: apart, they only cannot share blocks. Empty when all is well. Raises OSError."""
    home = _mount(folders.runs)
    return tuple(
        Finding(
            code="file-systems",
            severity=severity,
            subject=str(folder),
            sentence=f"{folder} and {folders.runs} are not on one file system: {lost}.",
            fix=f"Move it: stop labvirt serve, umount {folder}, and mount that file system at {folder.parent} instead.",
        )
        for folder, severity, lost in (
            (folders.drafts, Severity.ERROR, "no admin session can be started"),
            (folders.kept, Severity.ERROR, "nothing that guests wrote can be kept for rescue"),
            (folders.images, Severity.WARNING, "a publish always copies, and disk room has to be watched in two places"),
        )
        if _mount(folder) != home
    )


def sharing(folders: DiskFolders) -> tuple[Finding, ...]:
    """May a version share its blocks with the draft it is made of? Tried, not guessed. Either way everything works. Raises OSError."""
    if _clones(_existing(folders.drafts), _existing(folders.images)):
        sentence = "The file system shares blocks: sealing a version takes no time and no room."
    else:
        sentence = "The file system cannot share blocks: publishing copies what was changed. XFS or Btrfs would share it."
    return (Finding(code="reflink", severity=Severity.OK, sentence=sentence),)


def room(folders: DiskFolders, machine: Machine) -> tuple[Finding, ...]:
    """Space for publishing the largest draft, and for what is kept. Raises OSError."""
    free = machine.load().disk_free_mib
    drafts = [(folder.name, used) for folder in _inside(folders.drafts) if (used := _used_mib(folder))]
    kept = sum(_used_mib(folder) for folder in _inside(folders.kept))
    findings = [
        Finding(
            code="draft-room",
            severity=Severity.WARNING,
            subject=name,
            sentence=f"The draft {name} holds {used} MiB; {free} MiB are free, and publishing may have to write as much once more.",
            fix=f"labvirt image gc, or give the draft up: labvirt admin discard {name}",
        )
        for name, used in drafts
        if used > free
    ]
    if folders.budget_mib > free + kept:
        findings.append(
            Finding(
                code="kept-room",
                severity=Severity.WARNING,
                sentence=f"What guests wrote may take {folders.budget_mib} MiB while it is kept; {kept} MiB are kept, {free} MiB are free."
                " It will go earlier than it should, the oldest first.",
                fix="Free some space, or write a smaller rescue_budget_mib into labvirt.toml.",
            )
        )
    if findings:
        return tuple(findings)
    drafted = sum(used for _, used in drafts)
    sentence = f"{len(drafts)} drafts hold {drafted} MiB, and {kept} of {folders.budget_mib} MiB are kept for rescue."
    return (Finding(code="disk-room", severity=Severity.OK, sentence=sentence),)


def fuse() -> tuple[Finding, ...]:
    """May disks be shown as files (in a jail only) to read out of them? Empty when they may."""
    try:
        os.close(os.open(FUSE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        lost = "Files cannot be read out of disks that nobody runs (labvirt rescue files)"
        absent = error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO)
        return (
            Finding(
                code="fuse",
                severity=Severity.WARNING,
                subject=str(FUSE),
                sentence=f"{lost}: {FUSE} {'is not there' if absent else f'cannot be opened ({error.strerror})'}.",
                fix="modprobe fuse" if absent else f"chmod 666 {FUSE}  # as udev does",
            ),
        )
    return ()


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), folder)


def _mount(folder: Path) -> tuple[int, str]:
    """Equal for two folders when a file can have a name in each (link(2): one file system, one mount)."""
    descriptor = os.open(_existing(folder), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
        return os.fstat(descriptor).st_dev, next((line for line in lines if line.startswith("mnt_id:")), "")
    finally:
        os.close(descriptor)


def _clones(source: Path, target: Path) -> bool:
    flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
    try:
        one = os.open(source, flags, 0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            return False  # such a file system is none of those that share
        raise
    try:
        os.write(one, bytes(4096))
        other = os.open(target, flags, 0o600)
        try:
            return reflink.clone(one, other)
        finally:
            os.close(other)
    finally:
        os.close(one)


def _inside(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())) if folder.is_dir() else ()


def _used_mib(folder: Path) -> int:
    """What its files really occupy. A file that goes away meanwhile counts nothing."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue
    return -(-total // _MIB)
