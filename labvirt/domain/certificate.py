# SPDX-License-Identifier: MIT
"""A certificate as a guest shows it: its fingerprint, out of the text of its file. Whether it is any good is not judged: it is compared."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

LONGEST_BYTES = 16 << 10
"""Of the file: a certificate has one or two thousand bytes, and a chain may stand behind it."""

_FIRST = re.compile(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


def fingerprint(pem: bytes) -> str | None:
    """SHA-256 of the first certificate's DER, in hex digits; None when there is no certificate in this text."""
    found = _FIRST.search(pem[:LONGEST_BYTES])
    if found is None:
        return None
    try:
        der = base64.b64decode(b"".join(found[1].split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return hashlib.sha256(der).hexdigest() if _is_one_sequence(der) else None


def _is_one_sequence(der: bytes) -> bool:
    """One SEQUENCE of the length that it says, with nothing behind it (X.690, 8.1)."""
    if len(der) < 4 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return len(der) == 2 + der[1]
    many = der[1] & 0x7F
    return 1 <= many <= 3 and len(der) == 2 + many + int.from_bytes(der[2 : 2 + many])
