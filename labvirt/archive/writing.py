# SPDX-License-Identifier: MIT
"""A backup is written: small files are copied first, so that the manifest can be; images are read once, as they go in.

1. stage: a private folder beside the target; database, settings, secrets ... are copied there and summed up
2. manifest, then every member, into one file of the stage (gzip without images; disks hardly get smaller)
3. fsync, link to its name (nobody's file is replaced), fsync of the folder
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from labvirt.archive import gathering, manifest, ustar
from labvirt.archive.manifest import Manifest, Member
from labvirt.archive.trouble import translated
from labvirt.contracts.archive import BackupFacts, ImageFile, Written
from labvirt.contracts.images import Progress
from labvirt.errors import ImageDamaged, InvalidInput
from labvirt.system import locks
from labvirt.system.files import open_regular, remove_tree, sync_folder

PIECE = 1 << 20


def write(
    state: Path, target: Path, facts: BackupFacts, copy_database: Callable[[Path], None], *, with_images: bool, progress: Progress
) -> Written:
    """See contracts.archive.Archives.write."""
    if os.path.lexists(target):
        raise InvalidInput("file", f"{target} exists already", hint="Choose another name; nothing is overwritten.")
    if not target.parent.is_dir():
        raise InvalidInput("file", f"there is no folder {target.parent}", hint="Make it first, or choose another one.")
    with translated("write the backup", target), _stage(target) as stage:
        copy_database(stage / "labvirt.db")
        small = {"labvirt.db": stage / "labvirt.db", **_copied(state, stage)}
        images = tuple(_judged(state, each) if with_images else each for each in facts.images)
        large = {path: file for each in images if each.included for path, file in _of_image(state, each)}
        told = {path: _summed(path, file) for path, file in small.items()}
        known = {f"images/{each.file}": Member(f"images/{each.file}", each.size_bytes, each.sha256) for each in images if each.included}
        told |= {path: known[path] if path in known else _summed(path, file) for path, file in large.items()}
        facts = replace(facts, images=images)
        made = stage / "backup"
        _fill(made, Manifest(facts=facts, members=told), {**small, **large}, packed=not large, progress=progress)
        size = made.stat().st_size
        _name(made, target)
    return Written(path=target, size_bytes=size, members=len(told), facts=facts)


def _fill(made: Path, head: Manifest, files: dict[str, Path], *, packed: bool, progress: Progress) -> None:
    text = manifest.render(head)
    total = sum(each.size for each in head.members.values())
    done = 0
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        with contextlib.ExitStack() as stack:
            out: BinaryIO | gzip.GzipFile = raw
            if packed:
                out = stack.enter_context(gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0))
            out.write(ustar.render(ustar.Header(manifest.NAME, len(text))) + text + bytes(ustar.padding(len(text))))
            for path, member in head.members.items():
                out.write(ustar.render(ustar.Header(path, member.size)))
                for piece in _pieces(files[path], member):
                    out.write(piece)
                    done += len(piece)
                    progress(done, total)
                out.write(bytes(ustar.padding(member.size)))
            out.write(ustar.END)
        raw.flush()
        os.fsync(raw.fileno())


def _pieces(file: Path, member: Member) -> Iterator[bytes]:
    """Its content, which is what was summed up. Raises ImageDamaged when it is not."""
    digest, left = hashlib.sha256(), member.size
    with open_regular(file) as source:
        while piece := source.read(min(PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                break
            digest.update(piece)
            yield piece
    if left or digest.hexdigest() != member.sha256:
        raise ImageDamaged(
            f"{file} is not what it was: it has another size or checksum.",
            operation="back up",
            subject=member.path,
            hint="Find out which version is damaged: labvirt image scrub, then back up again, or without images.",
        )


def _copied(state: Path, stage: Path) -> dict[str, Path]:
    """Small files as they are at one moment each: what is written while we read is read again as a whole or not at all."""
    copies: dict[str, Path] = {}
    for number, (path, file) in enumerate(gathering.small(state)):
        if not manifest.is_path(path):
            continue
        try:
            with open_regular(file) as source:
                content = source.read(gathering.SMALL + 1)
        except FileNotFoundError:
            continue  # gone since it was listed
        if len(content) <= gathering.SMALL:
            copies[path] = stage / f"{number}.copy"
            descriptor = os.open(copies[path], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as copy:
                copy.write(content)
    return copies


def _judged(state: Path, each: ImageFile) -> ImageFile:
    file = state / "images" / each.file
    there = file.is_file() and not file.is_symlink() and manifest.is_path(f"images/{each.file}")
    return replace(each, included=there)


def _of_image(state: Path, each: ImageFile) -> Iterator[tuple[str, Path]]:
    file = state / "images" / each.file
    yield f"images/{each.file}", file
    yield from ((path, found) for path, found in gathering.beside(state, file) if manifest.is_path(path))


def _summed(path: str, file: Path) -> Member:
    digest, size = hashlib.sha256(), 0
    with open_regular(file) as source:
        while piece := source.read(PIECE):
            digest.update(piece)
            size += len(piece)
    return Member(path=path, size=size, sha256=digest.hexdigest())


def _name(made: Path, target: Path) -> None:
    try:
        os.link(made, target)
    except FileExistsError as error:
        raise InvalidInput("file", f"{target} exists already", hint="Choose another name; nothing is overwritten.") from error
    except PermissionError:  # a file system without hard links: a stick, for instance
        if os.path.lexists(target):
            raise InvalidInput("file", f"{target} exists already", hint="Choose another name; nothing is overwritten.") from None
        made.rename(target)
    sync_folder(target.parent)


@contextmanager
def _stage(target: Path) -> Iterator[Path]:
    """A private folder beside the target, gone afterwards; that of a process that died goes first. Raises OSError, InvalidInput."""
    folder = target.with_name(f".{target.name}.backup")
    own = folder.with_name(f"{folder.name}.lock")
    lock = locks.take(own)
    if lock is None:
        raise InvalidInput("file", f"{target} is being written by somebody else", hint="Wait for it, or choose another name.")
    with lock:
        remove_tree(folder)
        try:
            folder.mkdir(mode=0o700)
            yield folder
        finally:
            remove_tree(folder)
            own.unlink(missing_ok=True)
