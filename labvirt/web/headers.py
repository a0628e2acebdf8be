# SPDX-License-Identifier: MIT
"""What browsers are told of an answer's safety, by whichever route it comes: Flask's and native ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labvirt.web.asgi import Send

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none';"
    " frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
TRANSPORT = "Strict-Transport-Security"
ONLY_HTTPS = "max-age=31536000"
"""A browser that came by HTTPS never comes without it for a year (RFC 6797; ASVS 5.0, 3.4.1). Of this name only."""


def _encoded(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in headers.items())


_PLAIN = _encoded(SECURITY_HEADERS)
_SECURE = (*_PLAIN, *_encoded({TRANSPORT: ONLY_HTTPS}))


def with_headers(send: Send, *, https: bool) -> Send:
    """The same answers with these headers, where the route has not said its own."""
    more = _SECURE if https else _PLAIN

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            told = list(message.get("headers", ()))
            there = {name.lower() for name, _ in told}
            message = {**message, "headers": told + [each for each in more if each[0].lower() not in there]}
        await send(message)

    return sending
