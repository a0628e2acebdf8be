# SPDX-License-Identifier: MIT
"""What running guests cost in memory, by the kernel's own count."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labvirt.demo.place import Place
from tests.bench.ground import must

_FIELD = re.compile(r"^(\w+): +(\d+) kB", re.MULTILINE)
_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ", re.MULTILINE)
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """MiB of private anonymous memory (proc(5): Anonymous; shared pages of files do not count): of the guest's memory, and of the rest of
    its QEMU."""

    guest: float
    qemu: float

    @property
    def whole(self) -> float:
        return self.guest + self.qemu


def anonymous_mib(place: Place) -> list[float]:
    """Private anonymous memory (smaps_rollup) of each QEMU in the place."""
    return [int(dict(_FIELD.findall(text))["Anonymous"]) / 1024 for text in _of_each_qemu(place, "smaps_rollup")]


def private_mib(place: Place, memory_mib: int) -> list[Private]:
    """The same in two parts (smaps) of each QEMU in the place, whose guests have so much memory each."""
    return [parts(text, memory_mib) for text in _of_each_qemu(place, "smaps")]


def parts(smaps: str, memory_mib: int) -> Private:
    """The guest's memory is the smallest mapping that has room for it: QEMU maps it in one piece, to which the kernel may have joined a
    neighbour. Raises ValueError when there is none."""
    rows = [(int(end, 16) - int(begin, 16), int(_anonymous(rest))) for begin, end, rest in _mappings(smaps)]
    fitting = [row for row in rows if row[0] >= memory_mib * MIB]
    if not fitting:
        raise ValueError(f"no mapping has room for {memory_mib} MiB")
    guest = min(fitting)
    return Private(guest=guest[1] / 1024, qemu=(sum(anonymous for _, anonymous in rows) - guest[1]) / 1024)


def _mappings(smaps: str) -> Iterator[tuple[str, str, str]]:
    heads = list(_MAPPING.finditer(smaps))
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        yield head[1], head[2], smaps[head.end() : after.start() if after else len(smaps)]


def _anonymous(rest: str) -> str:
    return str(dict(_FIELD.findall(rest))["Anonymous"])


def _of_each_qemu(place: Place, file: str) -> Iterator[str]:
    for pid in must(["ip", "netns", "pids", place.namespace]).split():
        try:
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("qemu-system"):
                yield Path(f"/proc/{pid}/{file}").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
