# SPDX-License-Identifier: MIT
"""Reads the status file of the kiosk beside it, and which address this terminal has."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

_LARGEST_BYTES = 64 * 1024
_ADDRESS_EVERY = 25


class StatusReader:
    """Never raises: what cannot be read now is what was read last."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last: dict[str, Any] = {}
        self._address = ""
        self._looks = 0

    def status(self) -> dict[str, Any]:
        try:
            with self._file.open(encoding="utf-8") as file:
                read = json.loads(file.read(_LARGEST_BYTES))
        except (OSError, ValueError, RecursionError):
            return self._last
        self._last = read if isinstance(read, dict) else self._last
        return self._last

    def address(self) -> str:
        """The IPv4 address that packets leave with; looked up anew now and then, since a lease may come late."""
        if self._looks % _ADDRESS_EVERY == 0:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
                try:
                    door.connect(("192.0.2.1", 9))  # RFC 5737; a UDP connect sends nothing
                    self._address = door.getsockname()[0]
                except OSError:
                    self._address = ""
        self._looks += 1
        return self._address
