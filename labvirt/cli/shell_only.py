# SPDX-License-Identifier: MIT
"""Commands that only somebody at a shell of the controller can run, and why: all others have an operation in the API (an executed test)."""

from __future__ import annotations

from collections.abc import Mapping

_PROCESS = "it is a process of the controller"
_FILE = "it names a file of the controller's host, which a client must not choose"

_WHOLE = "it proves, reads or makes the whole state folder"

REASONS: Mapping[str, str] = {
    "init": "it makes the site",
    "code": "it buys a sign-in: who can run it owns the state folder",
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
}
"""By the words of the command."""
