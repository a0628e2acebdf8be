# SPDX-License-Identifier: MIT
"""The phone's codes: TOTP (RFC 6238: SHA-1, 6 digits, 30 s) over HOTP (RFC 4226, 5.3), and codes for the day the phone is lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import struct
from datetime import datetime
from urllib.parse import quote

from labvirt.domain.terminal import CODE_LETTERS

STEP_SECONDS = 30
DIGITS = 6
DRIFT = 1
"""Steps that a phone's clock may be wrong, either way."""
KEY_BYTES = 20
RECOVERY_CODES, RECOVERY_LETTERS = 8, 16
"""16 letters of 32: 80 bits each, so a plain hash of them is enough."""


def new_key() -> str:
    """160 random bits (RFC 4226, 4: R6) as base32."""
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode()


def code_at(key: str, step: int) -> str:
    """The code of one time step."""
    digest = hmac.new(base64.b32decode(key), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number: int = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(key: str, code: str, now: datetime, *, after: int) -> int | None:
    """The time step whose code this is; None when it is none of now, or of a step up to `after` (each code works once: RFC 6238, 5.2)."""
    given = "".join(code.split())
    middle = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(middle - DRIFT, middle + DRIFT + 1):
        if hmac.compare_digest(code_at(key, step).encode(), given.encode()) and step > after:
            found = step
    return found


def address(key: str, person: str, site: str) -> str:
    """The otpauth: address that phones read as a QR code."""
    label, issuer = quote(f"{site}:{person}", safe=""), quote(site, safe="")
    return f"otpauth://totp/{label}?secret={key}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"


def new_recovery() -> tuple[str, ...]:
    """Codes that are shown once."""
    letters = ["".join(secrets.choice(CODE_LETTERS) for _ in range(RECOVERY_LETTERS)) for _ in range(RECOVERY_CODES)]
    return tuple("-".join(each[n : n + 4] for n in range(0, RECOVERY_LETTERS, 4)) for each in letters)


def recovery_hash(code: str) -> str:
    """What is kept of one, however it was typed."""
    return hashlib.sha256("".join(each for each in code.upper() if each.isalnum()).encode()).hexdigest()
