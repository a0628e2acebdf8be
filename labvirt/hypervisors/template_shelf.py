# SPDX-License-Identifier: MIT
"""Templates on the disk: whole or absent, and never written again. What is in their files is not known here.

1. A build writes in a folder of `.stage` that it locks; everything is synced, the manifest last; one rename makes it a template.
2. A folder in the stage that nobody locks was left by a killed build; the next look removes it.
3. Files come out of folders in which a guest may write: they are copied, and links are not followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.domain.template import Template, TemplateName
from labvirt.errors import AlreadyExists, DriverError, Exhausted, HypervisorError, InvalidInput, TemplateUnfit
from labvirt.hypervisors.template_manifest import FileSum, Manifest, parse
from labvirt.system import locks
from labvirt.system.files import open_regular, private_folder, read_bounded, remove_tree, sync_folder, write_atomic

MANIFEST = "manifest.json"
_LOCK = ".lock"
_LIMIT = 1 << 20
_PIECE = 1 << 20


class Stage:
    """The folder of a template that is being made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, FileSum] = {}

    def create(self, name: str) -> int:
        """A new empty file, to be written by somebody else. The caller closes it, and says `add` when it is complete. Raises OSError."""
        return os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def add(self, name: str) -> None:
        """The file that lies in the stage belongs to the template as it is now. Raises OSError."""
        with open_regular(self.folder / name) as file:
            digest, size = hashlib.sha256(), 0
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        self._files[name] = FileSum(size=size, sha256=digest.hexdigest())

    def copy(self, source: Path, name: str) -> None:
        """A copy of `source` belongs to the template; zeroes take no room. Raises OSError."""
        digest, at = hashlib.sha256(), 0
        target = self.create(name)
        try:
            with open_regular(source) as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
                    for start in range(0, len(piece), 1 << 16):
                        part = piece[start : start + (1 << 16)]
                        if part.count(0) != len(part):
                            _write(target, part, at + start)
                    at += len(piece)
            os.ftruncate(target, at)
            os.fchmod(target, 0o444)
            os.fsync(target)
        finally:
            os.close(target)
        self._files[name] = FileSum(size=at, sha256=digest.hexdigest())

    def finish(self, template: Template) -> Manifest:
        """Everything is in the folder and survives a power cut, the manifest last. Raises OSError."""
        manifest = Manifest(template=template, files=dict(self._files))
        write_atomic(self.folder / MANIFEST, manifest.render(), mode=0o444)
        (self.folder / _LOCK).unlink()
        self.folder.chmod(0o711)
        sync_folder(self.folder)
        return manifest


class Shelf:
    """The templates in `folder`, which is made when the first one is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stage = folder / ".stage"

    def place(self, name: TemplateName) -> Path:
        return self._folder / str(name)

    @contextmanager
    def making(self, template: Template) -> Iterator[Stage]:
        """A stage; when the block ends well it is the template, else nothing is left. Raises AlreadyExists, Exhausted, HypervisorError."""
        name = str(template.name)
        try:
            if self.place(template.name).exists():
                raise AlreadyExists("template", name, hint="Numbers of templates are not used twice.")
            private_folder(self._folder, mode=0o711)
            private_folder(self._stage)
            with self._alone(wait=True):
                folder = private_folder(self._stage / f"{name}-{secrets.token_hex(4)}")
                lock = locks.take(folder / _LOCK)
            assert lock is not None
            with lock:
                try:
                    stage = Stage(folder)
                    yield stage
                    with self._alone(wait=True):  # from the end of its lock to its name nobody may take it for a killed build's
                        stage.finish(template)
                        _rename(folder, self.place(template.name), name)
                except BaseException:
                    remove_tree(folder)
                    raise
            sync_folder(self._folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Exhausted("disk", f"There is no space for the template {name}.", hint="Make room: labvirt image gc") from error
            raise HypervisorError(
                f"The template {name} could not be made: {error.strerror or error}.", operation="freeze", subject=name
            ) from error

    def names(self) -> tuple[TemplateName, ...]:
        """All that bear the name of a template, whole or not. What killed builds have left is gone. Raises DriverError."""
        try:
            self._sweep()
            found = sorted(entry.name for entry in self._folder.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise DriverError(
                f"The templates cannot be listed: {error.strerror}.", operation="templates", subject=str(self._folder)
            ) from error
        return tuple(name for each in found if (name := _parsed(each)) is not None)

    def manifest(self, name: TemplateName) -> Manifest:
        """Raises TemplateUnfit when there is none, or none that can be read."""
        try:
            return parse(read_bounded(self.place(name) / MANIFEST, _LIMIT), name)
        except FileNotFoundError:
            raise TemplateUnfit(str(name), "it is not on this host") from None
        except OSError as error:
            raise TemplateUnfit(str(name), f"its manifest cannot be read ({error.strerror})") from error

    def is_damaged(self, name: TemplateName) -> bool:
        """Has it lost its manifest for good? One that cannot be read now may be readable later."""
        try:
            self.manifest(name)
        except TemplateUnfit as error:
            return not isinstance(error.__cause__, OSError) and self.place(name).exists()
        return False

    def disk_bytes(self, name: TemplateName) -> int:
        """What its files occupy."""
        with os.scandir(self.place(name)) as found:
            return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in found)

    def remove(self, name: TemplateName) -> None:
        """It is gone; a death half way leaves a folder in the stage. Absent is fine. Raises HypervisorError."""
        try:
            private_folder(self._stage)
            going = self._stage / f"{name}-{secrets.token_hex(4)}"
            self.place(name).rename(going)
            sync_folder(self._folder)
            remove_tree(going)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HypervisorError(
                f"The template {name} could not be removed: {error.strerror}.", operation="remove", subject=str(name)
            ) from error

    def _sweep(self) -> None:
        if not self._stage.is_dir():
            return
        with self._alone(wait=False) as alone:
            for folder in self._stage.iterdir() if alone else ():
                if folder.is_dir() and (lock := locks.take(folder / _LOCK)) is not None:
                    with lock:
                        remove_tree(folder)

    @contextmanager
    def _alone(self, *, wait: bool) -> Iterator[bool]:
        """Nobody else begins a stage or sweeps. Without `wait` it may be somebody else's turn: False."""
        lock = locks.take(self._stage / _LOCK, wait=wait)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()


def _rename(folder: Path, place: Path, name: str) -> None:
    try:
        folder.rename(place)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise AlreadyExists("template", name, hint="Numbers of templates are not used twice.") from error
        raise


def _parsed(text: str) -> TemplateName | None:
    try:
        return TemplateName.parse(text)
    except InvalidInput:
        return None


def _write(target: int, piece: bytes, at: int) -> None:
    while piece:
        done = os.pwrite(target, piece, at)
        piece, at = piece[done:], at + done
