# SPDX-License-Identifier: MIT
"""Files in memory that nobody can write any more, not even who opens them for writing (memfd_create(2), F_ADD_SEALS)."""

from __future__ import annotations

import fcntl
import hashlib
import os
from dataclasses import dataclass

_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedMemory:
    """The descriptor belongs to who asked for it; the memory lives while anybody has it open or mapped. `sha256` is of what is in it."""

    descriptor: int
    size: int
    sha256: str

    @property
    def held_bytes(self) -> int:
        """Memory of the host that it takes: what is zero takes none."""
        return os.fstat(self.descriptor).st_blocks * 512

    def reading(self) -> int:
        """A further descriptor that reads from the beginning. The caller closes it."""
        return os.open(f"/proc/self/fd/{self.descriptor}", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.descriptor)


def seal(source: int, name: str) -> SealedMemory:
    """Everything in the open file, in memory of its own; `name` shows in /proc. Raises OSError (also when the memory is not there)."""
    target = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        digest, at = hashlib.sha256(), 0
        while piece := os.pread(source, _PIECE, at):
            digest.update(piece)
            if piece.count(0) != len(piece):
                _write(target, piece, at)
            at += len(piece)
        os.ftruncate(target, at)
        fcntl.fcntl(target, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except BaseException:
        os.close(target)
        raise
    return SealedMemory(descriptor=target, size=at, sha256=digest.hexdigest())


def _write(target: int, piece: bytes, at: int) -> None:
    while piece:
        done = os.pwrite(target, piece, at)
        piece, at = piece[done:], at + done
