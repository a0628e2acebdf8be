# SPDX-License-Identifier: MIT
"""What is asked of a guest's agent (docs/interop/qemu-ga-ref in QEMU), whoever carries the words. The guest is not trusted: each answer is
looked at, and none makes us ask for ever.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from contextlib import suppress

from labvirt.errors import AgentSilent, Conflict

ANSWER_BYTES = 64 << 10
"""Longest line of an answer that is read: the longest we ask for is a piece of a file in base64."""
PIECE_BYTES = 16 << 10
PIECES = 64
"""So often one file is read from."""

Ask = Callable[[str, Mapping[str, object]], object]
"""A verb and its arguments -> what the agent returns. Raises Refused (the agent says no), AgentSilent."""


class Refused(Exception):
    """The agent answers that it will not; in its own words, which nobody needs to believe."""


def answer_of(line: bytes | str, guest: str) -> object:
    """What the agent returns by this line. Raises Refused, AgentSilent (an agent does not speak like that)."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        raise AgentSilent(guest, "what comes from there is not JSON") from None  # its text may hold a secret that was sent there
    if isinstance(answer, dict) and "return" in answer:
        return answer["return"]
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        raise AgentSilent(guest, "what comes from there is no answer of an agent")
    raise Refused(plain(error.get("desc")))


def set_password(ask: Ask, guest: str, user: str, password: str) -> None:
    """The agent says that it is done. Raises AgentSilent, Conflict."""
    encoded = base64.b64encode(password.encode()).decode()
    try:
        ask("guest-set-user-password", {"username": user, "password": encoded, "crypted": False})
    except Refused as error:
        said = str(error).replace(password, "*****").replace(encoded, "*****")
        raise Conflict(
            f"The agent of {guest} does not set the password of {user!r}: {said}.",
            hint="Is there such a user inside the guest? Its name is the profile's: labvirt profile set NAME --user ACCOUNT",
        ) from None


def read_file(ask: Ask, guest: str, path: str, most: int) -> bytes | None:
    """At most `most` bytes; None when the agent gives none, or more. It is closed again where the agent lets us. Raises AgentSilent."""
    try:
        handle = ask("guest-file-open", {"path": path, "mode": "r"})
    except Refused:
        return None
    if type(handle) is not int:
        raise AgentSilent(guest, "it opens a file and does not say which")
    try:
        content = _pieces(ask, guest, handle, most)
    except Refused:
        content = None
    with suppress(Refused):
        ask("guest-file-close", {"handle": handle})
    return content


def _pieces(ask: Ask, guest: str, handle: int, most: int) -> bytes | None:
    content = b""
    for _ in range(PIECES):
        piece = ask("guest-file-read", {"handle": handle, "count": min(PIECE_BYTES, most + 1 - len(content))})
        text = piece.get("buf-b64") if isinstance(piece, dict) else None
        if not isinstance(piece, dict) or not isinstance(text, str):
            raise AgentSilent(guest, "it reads a file and does not say what is in it")
        try:
            content += base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise AgentSilent(guest, "what it reads from a file is not in base64") from None
        if len(content) > most:
            return None
        if piece.get("eof") is True:
            return content
    raise AgentSilent(guest, "it reads a file without end")


def plain(words: object) -> str:
    """An agent's reason, fit for a sentence of ours."""
    kept = "".join(each if each.isprintable() else " " for each in str(words)[:800]) if isinstance(words, str) else ""
    return " ".join(kept.split())[:200].rstrip(".") or "it gives no reason"
