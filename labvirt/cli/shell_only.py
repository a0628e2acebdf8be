# SPDX-License-Identifier: MIT
"""Commands that only somebody at a shell of the controller can run, and why: all others have an operation in the API (an executed test)."""

from __future__ import annotations

from collections.abc import Mapping

_HOST = "it looks at or changes the host itself, with the rights of whoever runs it"
_PROCESS = "it is a process of the controller"
_FILE = "it names a file of the controller's host, which a client must not choose"

_PEOPLE = "people confirm it on their page with their password, or have a shell; no program may"
_WHOLE = "it proves, reads or makes the whole state folder"

PERSON = ("add", "forget-phone", "list", "password", "remove", "set", "show", "sign-out")

REASONS: Mapping[str, str] = {
    "init": "it makes the site",
    "code": "it buys a sign-in: who can run it owns the state folder",
    "doctor": _HOST,
    "serve": _PROCESS,
    "engine": _PROCESS,
    "web": _PROCESS,
    "demo": _PROCESS,
    "image build": "it builds from Debian packages on the host",
    "image export": _FILE,
    "guest run": _FILE,
    "kiosk build": "it builds from Debian packages on the host",
    "kiosk stick": _FILE,
    "audit verify": _WHOLE,
    "backup": _FILE,
    "restore": _WHOLE,
    "console": "it is a line to one guest; programs buy a ticket (POST /consoles) and open the WebSocket /console",
    **dict.fromkeys((f"person {each}" for each in PERSON), _PEOPLE),
    **dict.fromkeys((f"group {each}" for each in ("add", "list", "remove", "set")), _PEOPLE),
    **dict.fromkeys((f"token {each}" for each in ("add", "list", "remove")), _PEOPLE),
}
"""By the words of the command."""
