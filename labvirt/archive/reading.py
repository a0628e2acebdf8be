# SPDX-License-Identifier: MIT
"""A backup is read by rules of its own: what the manifest does not name is refused, and nothing in the file chooses where anything goes.

1. The first file is the manifest. It names every other with size and checksum, by paths of one narrow form.
2. Every file after it is ordinary, named there, and comes once; it has that size and that checksum.
3. It is made anew (O_EXCL) in a folder that only we can write; its mode is ours, not the file's.
4. All of them came, and nothing after them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from labvirt.archive import manifest, ustar
from labvirt.archive.manifest import Manifest, Member
from labvirt.archive.trouble import translated
from labvirt.contracts.archive import BackupFacts
from labvirt.contracts.images import Progress, silent
from labvirt.errors import Exhausted, InvalidInput
from labvirt.system.files import open_regular, sync_folder

PIECE = 1 << 20
Source = BinaryIO | gzip.GzipFile
_GZIP = b"\x1f\x8b"
SLACK = 64 << 20
"""Bytes that stay free on the disk."""


def facts(file: Path) -> BackupFacts:
    """See contracts.archive.Archives.facts."""
    with _opened(file) as source:
        return _manifest(source).facts


def unpack(file: Path, folder: Path, progress: Progress = silent) -> BackupFacts:
    """Everything in the backup is below `folder`, an empty folder of our own, durably. Raises InvalidInput, DiskError, Exhausted('disk');
    then what is in the folder is worth nothing.
    """
    with _opened(file) as source:
        head = _manifest(source)
        total = sum(each.size for each in head.members.values())
        with translated("unpack into", folder):
            if shutil.disk_usage(folder).free < total + SLACK:
                raise Exhausted("disk", f"{folder.parent} has no space for {total >> 20} MiB.", hint="Make room, or choose another disk.")
        waiting, done = dict(head.members), 0
        while (header := ustar.parse(_exactly(source, ustar.BLOCK))) is not None:
            member = waiting.pop(header.name, None)
            if member is None:
                raise _bad("it holds a file that its manifest does not name")
            if header.size != member.size:
                raise _bad(f"{member.path} has another size than its manifest says")
            with translated("unpack into", folder):
                _make(source, folder, member)
            done += member.size
            progress(done, total)
        if waiting:
            raise _bad(f"{next(iter(waiting))} is missing")
        while piece := _some(source):
            if any(piece):
                raise _bad("something follows after its end")
    with translated("unpack into", folder):
        for path, _, _ in os.walk(folder):
            sync_folder(Path(path))
    return head.facts


def _make(source: Source, folder: Path, member: Member) -> None:
    path = folder / member.path
    _folders(folder, path.parent)
    digest, left = hashlib.sha256(), member.size
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        while left:
            piece = _exactly(source, min(PIECE, left))
            digest.update(piece)
            target.write(piece)
            left -= len(piece)
        if digest.hexdigest() != member.sha256:
            raise _bad(f"{member.path} does not have its checksum")
        if member.path.startswith("images/"):
            os.fchmod(target.fileno(), 0o444)
        target.flush()
        os.fsync(target.fileno())
    if any(_exactly(source, ustar.padding(member.size))):
        raise _bad("something stands where nothing may")


def _folders(top: Path, folder: Path) -> None:
    """Every folder between them is there. Guests' users may pass through those of versions, as the store makes them; images/ itself,
    and everything else, is private."""
    for each in reversed([folder, *folder.parents][: len(folder.relative_to(top).parts)]):
        if not each.exists():
            each.mkdir()
            each.chmod(0o755 if len(each.relative_to(top).parts) > 1 and each.is_relative_to(top / "images") else 0o700)


def _manifest(source: Source) -> Manifest:
    header = ustar.parse(_exactly(source, ustar.BLOCK))
    if header is None or header.name != manifest.NAME or header.size > manifest.LARGEST:
        raise _bad("it does not begin with a manifest")
    text = _exactly(source, header.size)
    _exactly(source, ustar.padding(header.size))
    return manifest.parse(text)


@contextmanager
def _opened(file: Path) -> Iterator[Source]:
    with translated("read", file):
        raw = open_regular(file)
    with raw:
        with translated("read", file):
            packed = raw.read(2) == _GZIP
            raw.seek(0)
        if packed:
            with gzip.GzipFile(fileobj=raw, mode="rb") as source:
                yield source
        else:
            yield raw


def _exactly(source: Source, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = _some(source, size - len(read))
        if not piece:
            raise _bad("it ends in the middle")
        read += piece
    return read


def _some(source: Source, size: int = PIECE) -> bytes:
    try:
        return source.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _bad("it cannot be unpacked") from error
    except OSError as error:
        raise _bad(f"it cannot be read ({error.strerror or error})") from error


def _bad(why: str) -> InvalidInput:
    return InvalidInput("file", f"is not a backup of LabVirt, or is damaged: {why}", hint="Nothing was restored. Take another backup.")
