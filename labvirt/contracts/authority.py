# SPDX-License-Identifier: MIT
"""The door to the controller's own certificate authority: viewers pin it, guests' displays get certificates from it."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol


class Authority(Protocol):
    def ca_pem(self) -> str:
        """The CA's certificate (public). The authority is made on first use; its key never leaves the secrets folder (0600)."""

    def issue(self, folder: Path, *, name: str, address: IPv4Address, uid: int | None) -> None:
        """`folder` (0700, of `uid`) holds server-cert.pem, server-key.pem and ca-cert.pem (the names QEMU's x509-dir expects) with the
        subject CN=`name` and the address as alternative name. Raises DriverError."""
