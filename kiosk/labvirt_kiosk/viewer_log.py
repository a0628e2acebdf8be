# SPDX-License-Identifier: MIT
"""What the viewer prints: always read, so that it never blocks; kept in a file that never outgrows two small halves."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO

from labvirt_kiosk.sentence import clean

HALF_BYTES = 128 * 1024
_LONGEST_LINE = 4096


class ViewerLog:
    """Reads `source` to its end in a thread of its own; `path` and `path`.1 hold the newest lines without `secret`."""

    def __init__(self, source: IO[bytes], path: Path, secret: str) -> None:
        self._source = source
        self._path = path
        self._secret = secret.encode("utf-8")
        self._last_line = ""
        self._thread = threading.Thread(target=self._run, name="viewer-log", daemon=True)
        self._thread.start()

    def last_line(self) -> str:
        """The last line the viewer printed, cleaned; waits a moment for the rest of a viewer that has ended."""
        self._thread.join(timeout=1)
        return self._last_line

    def _run(self) -> None:
        with self._source:
            while line := self._source.readline(_LONGEST_LINE):
                if self._secret:
                    line = line.replace(self._secret, b"*****")
                self._last_line = clean(line.decode("utf-8", "replace"), 160) or self._last_line
                self._keep(line)

    def _keep(self, line: bytes) -> None:
        try:
            if self._path.exists() and self._path.stat().st_size + len(line) > HALF_BYTES:
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            with self._path.open("ab") as file:
                file.write(line)
        except OSError:
            pass  # a full or read-only disk must not stop the reading: a viewer that cannot print stops showing
