# SPDX-License-Identifier: MIT
"""The boot folders of a site: STATE/kiosk/VERSION, and STATE/kiosk/current, which names the one that terminals get."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from labvirt.contracts.kiosk import BootFolder
from labvirt.disks.copying import need
from labvirt.disks.cpio import joined
from labvirt.disks.digest import sha256_of
from labvirt.domain.kiosk import INITRD, MANIFEST, BootFile, Kiosk, ca_digest, kiosk_of
from labvirt.errors import DiskError, InvalidInput, NotFound
from labvirt.system.files import sync_folder

CURRENT = "current"
CA_FILE = "site/ca.pem"
"""Where kiosk/image/initrd/init finds it."""


class SiteKiosk:
    """Keeps contracts.kiosk.BootFolders over STATE/kiosk."""

    def __init__(self, site: Path) -> None:
        self._site = site
        self._known: BootFolder | None = None

    def current(self) -> BootFolder | None:
        try:
            path = self._site / os.readlink(self._site / CURRENT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DiskError(f"{self._site / CURRENT} is no link: {error.strerror}.", hint="Build it again: labvirt kiosk build") from error
        known = self._known
        if known is None or known.path != path or not (path / MANIFEST).exists():
            known = self._known = BootFolder(path=path, kiosk=read(path))
        return known

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[tuple[BootFile, BinaryIO]]:
        found = self.current()
        file = found.kiosk.file(name) if found else None
        if found is None or file is None:
            raise NotFound("kiosk", name)
        try:
            stream = (found.path / name).open("rb")
        except OSError as error:
            raise DiskError(f"{found.path / name} cannot be read: {error.strerror}.", hint="Build it again: labvirt kiosk build") from error
        with stream:
            yield file, stream


def current(site: Path) -> Kiosk:
    """The kiosk that terminals get now. Raises NotFound when there is none, DiskError when its folder is not whole."""
    if not (site / CURRENT).is_dir():
        raise NotFound("kiosk", CURRENT)
    return read(site / CURRENT)


def read(folder: Path) -> Kiosk:
    """What the folder's manifest says, when every file is there in its size. Raises DiskError otherwise."""
    try:
        found = kiosk_of(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
        wrong = [file.name for file in found.files if (folder / file.name).stat().st_size != file.size_bytes]
    except (OSError, ValueError, InvalidInput) as error:
        raise DiskError(
            f"The kiosk in {folder} is not whole: {error}", subject=str(folder), hint="Build it again: labvirt kiosk build"
        ) from error
    if wrong:
        raise DiskError(
            f"The kiosk in {folder} is not whole: {', '.join(wrong)} has another size.",
            subject=str(folder),
            hint="Build it again: labvirt kiosk build",
        )
    return found


def install(source: Path, site: Path, ca_pem: str = "") -> Kiosk:
    """Terminals that start from now on get what is in `source`: STATE/kiosk/current is what it was, or names a complete, proved copy. With
    `ca_pem` they take displays of this authority and of no other: it lies in the copy's initial file system, as site/ca.pem.

    The version before stays, for those that are fetching it now; older ones go. Raises DiskError, Exhausted('disk').
    """
    built = read(source)
    made, tail = pinned(built, source / INITRD, ca_pem) if ca_pem else (built, b"")
    target = site / made.version
    try:
        site.mkdir(mode=0o755, parents=True, exist_ok=True)
        _clear(site)
        if not _is_whole(target, made):
            need(site, made.size_bytes, f"the kiosk {made.version}")
            _copy(source, target, made, tail)
        before = os.readlink(site / CURRENT) if (site / CURRENT).is_symlink() else ""
        _point(site, made.version)
        for old in site.iterdir():
            if old.name not in {made.version, before, CURRENT} and old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
    except OSError as error:
        raise DiskError(
            f"The kiosk cannot be kept in {site}: {error.strerror}.", subject=str(site), hint="df -h; labvirt doctor"
        ) from error
    return made


def _clear(site: Path) -> None:
    """What a build that was killed left."""
    for left in site.glob(".*.part"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def _is_whole(folder: Path, wanted: Kiosk) -> bool:
    return folder.is_dir() and all((folder / file.name).is_file() and _sha256(folder / file.name) == file.sha256 for file in wanted.files)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return sha256_of(stream.fileno())


def pinned(built: Kiosk, initrd: Path, ca_pem: str) -> tuple[Kiosk, bytes]:
    """The kiosk of a site with this authority, and what is to be written behind `initrd` for it. Raises OSError."""
    ca = ca_digest(ca_pem)
    before = initrd.stat().st_size
    tail = joined(before, {CA_FILE: ca_pem.encode()})
    with initrd.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    digest.update(tail)
    changed = BootFile(name=INITRD, size_bytes=before + len(tail), sha256=digest.hexdigest())
    files = tuple(changed if file.name == INITRD else file for file in built.files)
    return replace(built, version=f"{built.version[:48]}.ca{ca[:8]}", files=files, ca=ca), tail


def _manifest(source: Path, wanted: Kiosk) -> str:
    """That of the recipe, with what the site has changed."""
    told = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
    told["version"] = wanted.version
    told["ca"] = wanted.ca
    for file in wanted.files:
        told["files"][file.name] = {"size": file.size_bytes, "sha256": file.sha256}
    return json.dumps(told, indent=1)


def _copy(source: Path, target: Path, wanted: Kiosk, tail: bytes) -> None:
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        part.chmod(0o755)
        (part / MANIFEST).write_text(_manifest(source, wanted), encoding="utf-8")
        for name in (*(file.name for file in wanted.files), MANIFEST):
            if name != MANIFEST:
                shutil.copyfile(source / name, part / name)
            if name == INITRD and tail:
                with (part / name).open("ab") as stream:
                    stream.write(tail)
            with (part / name).open("rb") as stream:
                os.fchmod(stream.fileno(), 0o444)
                os.fsync(stream.fileno())
        if not _is_whole(part, wanted):
            raise DiskError(
                f"The kiosk in {source} is damaged: a checksum is wrong.",
                subject=str(source),
                hint="Build it again: labvirt kiosk build --refresh",
            )
        sync_folder(part)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _point(site: Path, version: str) -> None:
    fresh = site / f".{CURRENT}.{os.getpid()}.part"
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(version)
    fresh.replace(site / CURRENT)
    sync_folder(site)
