# SPDX-License-Identifier: MIT
"""Templates in use: RAM and device state in sealed memory of the host, read and compared once, for all clones.

The sums are taken on the bytes that clones get. Files that are not the same any more (inode, size, times) are read again.
"""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from labvirt.domain.template import TemplateName
from labvirt.errors import TemplateUnfit
from labvirt.hypervisors.template_manifest import RAM, STATE, FileSum, Manifest
from labvirt.hypervisors.template_shelf import MANIFEST, Shelf
from labvirt.system.files import open_regular
from labvirt.system.sealed_memory import SealedMemory, seal

_Seen = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A template whose every byte was compared. `ram` and `state` stay open until it is let go."""

    manifest: Manifest
    ram: SealedMemory
    state: SealedMemory
    seen: _Seen

    def close(self) -> None:
        self.ram.close()
        self.state.close()


class TemplateMemory:
    """From any thread. Clones keep what they have mapped, whatever is let go here."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._lock = threading.Lock()
        self._loaded: dict[TemplateName, Loaded] = {}

    def open(self, name: TemplateName) -> tuple[Manifest, int, int]:
        """The template, a descriptor of its RAM and one that reads its state from the beginning; the caller closes both.

        Raises TemplateUnfit: missing, truncated or changed; then nothing of it is held any more.
        """
        with self._lock:
            try:
                loaded = self._current(name)
                ram = os.dup(loaded.ram.descriptor)
                try:
                    return loaded.manifest, ram, loaded.state.reading()
                except BaseException:
                    os.close(ram)
                    raise
            except TemplateUnfit:
                self._forget(name)
                raise
            except OSError as error:
                self._forget(name)
                raise TemplateUnfit(str(name), f"it cannot be read ({error.strerror or error})") from error

    def held_bytes(self, name: TemplateName) -> int:
        with self._lock:
            known = self._loaded.get(name)
            return 0 if known is None else known.ram.held_bytes + known.state.held_bytes

    def forget(self, name: TemplateName) -> None:
        """Nothing of it is held here any more."""
        with self._lock:
            self._forget(name)

    def close(self) -> None:
        with self._lock:
            for name in tuple(self._loaded):
                self._forget(name)

    def _forget(self, name: TemplateName) -> None:
        if (known := self._loaded.pop(name, None)) is not None:
            known.close()

    def _current(self, name: TemplateName) -> Loaded:
        known = self._loaded.get(name)
        if known is not None:
            if _look(self._shelf.place(name), name, known.manifest) == known.seen:
                return known
            self._forget(name)
        manifest = self._shelf.manifest(name)
        place = self._shelf.place(name)
        seen = _look(place, name, manifest)
        held: dict[str, SealedMemory] = {}
        try:
            for file, told in manifest.files.items():
                if file in (RAM, STATE):
                    held[file] = _sealed(place / file, name, told)
                else:
                    _compare(place / file, name, told)
            loaded = Loaded(manifest=manifest, ram=held[RAM], state=held[STATE], seen=seen)
        except BaseException as error:
            for each in held.values():
                each.close()
            if isinstance(error, KeyError):
                raise TemplateUnfit(str(name), "its manifest is not that of a template") from error
            raise
        self._loaded[name] = loaded
        return loaded


def _look(place: Path, name: TemplateName, manifest: Manifest) -> _Seen:
    """What tells that nobody has touched its files. Raises TemplateUnfit."""
    seen = []
    for file, size in ((MANIFEST, None), *((file, told.size) for file, told in sorted(manifest.files.items()))):
        try:
            found = os.stat(place / file, follow_symlinks=False)
        except FileNotFoundError:
            what = "it is not on this host" if file == MANIFEST else f"its file {file} is missing"
            raise TemplateUnfit(str(name), what) from None
        if size is not None and found.st_size != size:
            raise TemplateUnfit(str(name), f"its file {file} has {found.st_size} bytes instead of {size}")
        seen.append((found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return tuple(seen)


def _sealed(file: Path, name: TemplateName, told: FileSum) -> SealedMemory:
    with open_regular(file) as opened:
        sealed = seal(opened.fileno(), f"labvirt {name} {file.name}")
    if (sealed.size, sealed.sha256) != (told.size, told.sha256):
        sealed.close()
        raise _changed(file, name)
    return sealed


def _compare(file: Path, name: TemplateName, told: FileSum) -> None:
    digest = hashlib.sha256()
    with open_regular(file) as opened:
        while piece := opened.read(1 << 20):
            digest.update(piece)
    if digest.hexdigest() != told.sha256:
        raise _changed(file, name)


def _changed(file: Path, name: TemplateName) -> TemplateUnfit:
    return TemplateUnfit(str(name), f"its file {file.name} is not what it was when the template was made")
