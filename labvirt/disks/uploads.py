# SPDX-License-Identifier: MIT
"""Uploads on the disk: `uploads/ID/` with about.json and data. The size of `data` is the offset: nothing else remembers it.

An upload appears by the rename of a finished folder. What is in `data` is never looked at here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from labvirt.contracts.uploads import Upload, Writing
from labvirt.disks.failure import translate, translated
from labvirt.errors import Conflict, InUse, InvalidInput, LabVirtError, NotFound
from labvirt.system import locks
from labvirt.system.files import private_folder, read_bounded, remove_tree, sync_folder, write_atomic

_ABOUT, _DATA, _LOCK = "about.json", "data", "lock"
_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_ENTRY = re.compile(r"\.?[A-Za-z0-9_-][A-Za-z0-9_.-]{0,80}\Z", re.ASCII)
_RESERVE = 256 << 20
"""Bytes of the file system that uploads leave alone: SQLite, logs and running guests write there too."""
_LARGEST_ABOUT = 16 << 10


class UploadFolder:
    """Keeps contracts.uploads.Uploads. Several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def create(self, upload: Upload) -> Upload:
        with translated("begin the upload", upload.id):
            if not _ID.match(upload.id):
                raise InvalidInput("id", "must be 32 hexadecimal digits")
            private_folder(self._root)
            making = self._root / f".{upload.id}"
            try:
                making.mkdir(mode=0o700)
                os.close(os.open(making / _DATA, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                write_atomic(making / _ABOUT, _render(upload))
                making.rename(self._root / upload.id)
            except BaseException:
                remove_tree(making)
                raise
            sync_folder(self._root)
        return replace(upload, offset=0)

    def get(self, id: str) -> Upload | None:
        if not _ID.match(id):
            return None
        folder = self._root / id
        try:
            told = _parse(read_bounded(folder / _ABOUT, _LARGEST_ABOUT))
            return replace(told, id=id, offset=(folder / _DATA).stat().st_size)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def list(self) -> tuple[Upload, ...]:
        found = [upload for name, _ in self.leftovers() if (upload := self.get(name)) is not None]
        return tuple(sorted(found, key=lambda each: (each.made_at, each.id)))

    def leftovers(self) -> tuple[tuple[str, datetime], ...]:
        found = []
        with translated("list", "the uploads"), contextlib.suppress(FileNotFoundError), os.scandir(self._root) as entries:
            for entry in entries:
                changed = entry.stat(follow_symlinks=False).st_mtime
                with contextlib.suppress(OSError):
                    changed = max(changed, os.stat(Path(entry.path) / _DATA, follow_symlinks=False).st_mtime)
                found.append((entry.name, datetime.fromtimestamp(changed, UTC)))
        return tuple(sorted(found))

    @contextmanager
    def write(self, id: str, offset: int) -> Iterator[Writing]:
        if self.get(id) is None:
            raise NotFound("upload", id)
        with self._alone(id) as lock:
            if lock is None:
                raise Conflict(
                    f"The upload {id} is being written by somebody else.", hint="Wait until that has ended, then ask where it is."
                )
            upload = self.get(id)
            if upload is None:
                raise NotFound("upload", id)
            if upload.offset != offset:
                raise Conflict(f"The upload {id} ends at {upload.offset}, not at {offset}.", hint=f"Go on at {upload.offset}.")
            with translated("write", f"the upload {id}"):
                descriptor = os.open(self._root / id / _DATA, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                yield _Written(descriptor, upload)
            finally:
                os.close(descriptor)

    def path(self, id: str) -> Path:
        if self.get(id) is None:
            raise NotFound("upload", id)
        return self._root / id / _DATA

    def remove(self, id: str) -> None:
        if not _ENTRY.match(id) or ".." in id:
            raise InvalidInput("id", "is not the name of an upload")
        folder = self._root / id
        if not _ID.match(id) or not folder.is_dir():
            with translated("remove", f"the upload {id}"):
                remove_tree(folder)
            return
        with self._alone(id) as lock:
            if lock is None:
                raise InUse("upload", id, "somebody who sends it")
            with translated("remove", f"the upload {id}"):
                remove_tree(folder)
                sync_folder(self._root)

    def free_bytes(self) -> int:
        with translated("look at", "the folder of uploads"):
            found = os.statvfs(self._root if self._root.is_dir() else self._root.parent)
        return max(0, found.f_bavail * found.f_frsize - _RESERVE)

    @contextmanager
    def _alone(self, id: str) -> Iterator[locks.Lock | None]:
        try:
            lock = locks.take(self._root / id / _LOCK)
        except FileNotFoundError:
            raise NotFound("upload", id) from None
        except OSError as error:
            raise translate(error, "lock", f"the upload {id}") from error
        if lock is None:
            yield None
            return
        with lock:
            yield lock


class _Written:
    """Keeps contracts.uploads.Writing."""

    def __init__(self, descriptor: int, upload: Upload) -> None:
        self._descriptor = descriptor
        self._upload = upload
        self._at = self._synced = upload.offset

    def put(self, data: bytes) -> None:
        left = self._upload.size_bytes - self._at
        if len(data) > left:
            raise InvalidInput("body", f"is longer than the {self._upload.size_bytes} bytes that were announced")
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._descriptor, view, self._at)
                self._at += count
                view = view[count:]
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> int:
        try:
            os.fsync(self._descriptor)
        except OSError as error:  # what the kernel could not write it has dropped: a second fsync would say that all is well
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._synced)
            self._at = self._synced
            raise self._failed(error) from error
        self._synced = self._at
        return self._at

    def _failed(self, error: OSError) -> LabVirtError:
        if error.errno == errno.EFBIG:
            return InvalidInput("size", "is more than this file system can hold in one file")
        return translate(error, "write", f"the upload of {self._upload.name}")


def _render(upload: Upload) -> str:
    told = {
        "name": upload.name,
        "format": upload.format,
        "size_bytes": upload.size_bytes,
        "by": upload.by,
        "made_at": upload.made_at.isoformat(),
        "sha256": upload.sha256,
        "note": upload.note,
        "publish": upload.publish,
    }
    return json.dumps(told, ensure_ascii=False) + "\n"


def _parse(raw: bytes) -> Upload:
    """Raises ValueError, KeyError, TypeError."""
    told = json.loads(raw)
    return Upload(
        id="",
        name=str(told["name"]),
        format=str(told["format"]),
        size_bytes=int(told["size_bytes"]),
        by=str(told["by"]),
        made_at=datetime.fromisoformat(told["made_at"]),
        sha256=str(told["sha256"]),
        note=str(told["note"]),
        publish=bool(told["publish"]),
    )
