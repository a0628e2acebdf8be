# SPDX-License-Identifier: MIT
"""What running guests cost in memory, by the kernel's own count."""

from __future__ import annotations

import re
from pathlib import Path

from labvirt.demo.place import Place
from tests.bench.ground import must

_FIELD = re.compile(r"^(\w+): +(\d+) kB", re.MULTILINE)


def anonymous_mib(place: Place) -> list[float]:
    """Private anonymous memory (smaps_rollup, proc(5)) of each QEMU in the place: shared pages of files do not count."""
    found = []
    for pid in must(["ip", "netns", "pids", place.namespace]).split():
        try:
            if not Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("qemu-system"):
                continue
            fields = dict(_FIELD.findall(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")))
        except (FileNotFoundError, ProcessLookupError):
            continue
        found.append(int(fields["Anonymous"]) / 1024)
    return found
