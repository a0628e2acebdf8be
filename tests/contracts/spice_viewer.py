# SPDX-License-Identifier: MIT
"""The smallest SPICE viewer: one main channel over TLS, as far as the answer to its secret.

The link messages are those of spice-protocol (spice/protocol.h): RedLinkHeader, RedLinkMess, RedLinkReply.
"""

from __future__ import annotations

import socket
import ssl
import struct
from pathlib import Path
from types import TracebackType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

ACCEPTED = 0
DENIED = 7
"""SPICE_LINK_ERR_PERMISSION_DENIED"""

_MAIN = 1
_KEY_BYTES = 162
"""SPICE_TICKET_PUBKEY_BYTES"""


class SpiceViewer:
    """Connects at once. `answer` is ACCEPTED or DENIED; accepted, the session stays open until `close`."""

    def __init__(self, address: str, port: int, *, ca: Path, secret: str) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.check_hostname = False  # remote-viewer compares the subject instead, as `subject` here is for
        raw = socket.create_connection((address, port), timeout=30)
        try:
            self._link = context.wrap_socket(raw)
        except BaseException:
            raw.close()
            raise
        self._link.sendall(struct.pack("<4sIIIIBBIII", b"REDQ", 2, 2, 18, 0, _MAIN, 0, 0, 0, 18))
        magic, _, _, size = struct.unpack("<4sIII", self._read(16))
        assert magic == b"REDQ"
        reply = self._read(size)
        assert struct.unpack_from("<I", reply)[0] == 0
        key = load_der_public_key(reply[4 : 4 + _KEY_BYTES])
        assert isinstance(key, rsa.RSAPublicKey)
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - what SPICE speaks
        self._link.sendall(key.encrypt(secret.encode() + b"\0", oaep))
        self.answer = struct.unpack("<I", self._read(4))[0]

    @property
    def subject(self) -> dict[str, str]:
        """The subject of the server's certificate, which the CA has signed."""
        certificate = self._link.getpeercert() or {}
        return {name: value for part in certificate["subject"] for name, value in part}

    @property
    def open(self) -> bool:
        """Has the server not hung up?"""
        self._link.settimeout(0.2)
        try:
            return bool(self._link.recv(1 << 16))
        except TimeoutError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> SpiceViewer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._link.recv(size - len(data))
            assert piece, "the server hung up"
            data += piece
        return data
