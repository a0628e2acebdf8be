# SPDX-License-Identifier: MIT
"""The ticket: the secret of one guest, for one connection, for a short time. It is kept in memory only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from labvirt_kiosk.answer import Answer
from labvirt_kiosk.sentence import clean, is_plain
from labvirt_kiosk.trouble import BadAnswer, NotYet

_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """What `POST /terminals/ticket` gave. The secret never shows in a representation."""

    guest: str
    address: str
    port: int
    user: str | None
    secret: str = field(repr=False)
    expires_seconds: float
    fingerprint: str | None = None
    """SHA-256 of the certificate that the guest will show (RDP), in hex digits."""

    def must_fit(self, answer: Answer) -> None:
        """Raises NotYet if the seat got another guest since it was told `answer`: then the question comes first."""
        if (self.guest, self.address, self.port) != (answer.guest, answer.address, answer.port):
            raise NotYet("This seat just got another guest, asking again", retry_seconds=0)


def parse(body: bytes) -> Ticket:
    """The ticket in `body` (json). Raises BadAnswer; its sentence never quotes the body."""
    try:
        fields = json.loads(body.decode("utf-8"))
        guest, address, port = fields["guest"], fields["address"], fields["port"]
        fingerprint = fields.get("fingerprint")
        secret, user, expires = fields["secret"], fields.get("user"), fields.get("expires_seconds", 30)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        # `from None`: the decoder's message and context hold the body, and so the secret
        raise BadAnswer("the controller's ticket cannot be read") from None
    texts = (guest, address, secret) if user is None else (guest, address, secret, user)
    if not all(isinstance(text, str) and 0 < len(text) <= 256 and is_plain(text) for text in texts):
        raise BadAnswer("the controller's ticket holds text that a viewer cannot take")
    if type(port) is not int or type(expires) not in (int, float):
        raise BadAnswer("the controller's ticket cannot be read")
    if fingerprint is not None and not (isinstance(fingerprint, str) and _FINGERPRINT.match(fingerprint)):
        raise BadAnswer("the controller's ticket names a certificate in a way that cannot be read")
    return Ticket(
        guest=clean(guest, 64),
        address=address,
        port=port,
        user=user or None,
        secret=secret,
        expires_seconds=min(max(float(expires), 1.0), 300.0),
        fingerprint=fingerprint,
    )
