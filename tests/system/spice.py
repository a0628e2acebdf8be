# SPDX-License-Identifier: MIT
"""A viewer's first words: TLS, SPICE link message, password (spice-protocol, link stage). Enough to see who is let in."""

from __future__ import annotations

import socket
import ssl
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

MAGIC = b"REDQ"
MAIN_CHANNEL = 1
PUBLIC_KEY_BYTES = 162
OK, PERMISSION_DENIED = 0, 7
"""SPICE_LINK_ERR_* of spice/error_codes.h"""


class Viewer:
    """One main channel on a connected socket, which it owns. Use as a context manager."""

    def __init__(self, connection: socket.socket, ca_pem: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # as remote-viewer does with a host-subject: the subject is compared, not the name
        context.load_verify_locations(cadata=ca_pem)
        connection.settimeout(20.0)
        try:
            self._line = context.wrap_socket(connection)
        except BaseException:
            connection.close()
            raise

    def __enter__(self) -> Viewer:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()

    @property
    def subject(self) -> str:
        shown = self._line.getpeercert(binary_form=True)
        assert shown is not None
        names = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return f"CN={names[0].value}"

    def link(self, secret: str) -> int:
        """What the server says to this password. Raises OSError when it hangs up."""
        message = struct.pack("<IBBIII", 0, MAIN_CHANNEL, 0, 0, 0, 18)
        self._line.sendall(MAGIC + struct.pack("<III", 2, 2, len(message)) + message)
        head = self._exactly(16)
        assert head[:4] == MAGIC, head
        reply = self._exactly(struct.unpack("<I", head[12:])[0])
        (error,) = struct.unpack("<I", reply[:4])
        if error != OK:
            return int(error)
        key = serialization.load_der_public_key(reply[4 : 4 + PUBLIC_KEY_BYTES])
        assert isinstance(key, rsa.RSAPublicKey)
        hidden = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303 - the protocol's
        self._line.sendall(key.encrypt(secret.encode() + b"\0", hidden))
        return int(struct.unpack("<I", self._exactly(4))[0])

    def _exactly(self, count: int) -> bytes:
        heard = b""
        while len(heard) < count:
            piece = self._line.recv(count - len(heard))
            if not piece:
                raise ConnectionResetError(f"the display hung up after {len(heard)} of {count} bytes")
            heard += piece
        return heard
