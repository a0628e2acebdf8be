# SPDX-License-Identifier: MIT
"""Names that people give (labs, terminals, profiles, images), checked once.

A name becomes part of a host name, a folder and a socket path, so its form is narrow: RFC 1123 labels, lower case, at most 32
characters. Free text (notes, descriptions) is cleaned by `one_line`.
"""

from __future__ import annotations

import re
import unicodedata

from labvirt.errors import InvalidInput

NAME_LENGTH = 32
"""Leaves room for '-t4079' and '.g1234567' inside the 63 octets of a DNS label (RFC 1035, 2.3.4) and short socket paths."""

TEXT_LENGTH = 200

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?\Z", re.ASCII)
_TERMINAL_ID = re.compile(r"[!-~]{1,64}\Z", re.ASCII)


def check_name(value: object, field: str) -> str:
    """Return `value` if it is a proper name; raise InvalidInput naming `field` and the rule otherwise."""
    if not isinstance(value, str):
        raise InvalidInput(field, "must be text")
    if not _NAME.match(value):
        raise InvalidInput(
            field,
            f"must be 1 to {NAME_LENGTH} characters of a-z, 0-9 and '-', beginning with a letter and not ending with '-'",
            hint="Example: lab-a",
        )
    return value


def check_terminal_id(value: object, field: str = "id") -> str:
    """Return `value` if it may be a terminal's id (1 to 64 printable ASCII characters, no space)."""
    if not isinstance(value, str) or not _TERMINAL_ID.match(value):
        raise InvalidInput(
            field, "must be 1 to 64 printable characters without spaces", hint="Use the MAC address, the IP address or an inventory number."
        )
    return value


def one_line(value: str, limit: int = TEXT_LENGTH) -> str:
    """Free text as one clean line: NFC, control and format characters gone, white space folded, cut at `limit`."""
    kept = "".join(" " if c.isspace() else c for c in value if c.isspace() or unicodedata.category(c)[0] != "C")
    folded = " ".join(unicodedata.normalize("NFC", kept).split())
    return folded if len(folded) <= limit else folded[: limit - 3] + "..."
