# SPDX-License-Identifier: MIT
"""Commands through the QEMU guest agent (docs/interop/qemu-ga-ref in QEMU): JSON lines over its channel. The guest may lie and babble."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from typing import Any

from .lines import Line, Silent
from .result import Result

LINE_BYTES = 48 << 20
"""The agent cuts captured output at 16 MiB; two of those in base64, in one line."""
SYNC_SECONDS = 3.0
PAUSE_SECONDS = 0.1


class Agent:
    """Raises Silent when nobody (sensible) answers."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._windows: bool | None = None

    def sync(self, deadline: float) -> None:
        """What was said to others before is passed over: guest-sync-delimited puts 0xFF before its answer."""
        number = secrets.randbelow(1 << 31)
        request = {"execute": "guest-sync-delimited", "arguments": {"id": number}}
        # A stray 0xFF ends whatever half request somebody left in the agent's parser.
        self._line.send(b"\xff" + json.dumps(request).encode() + b"\n", deadline)
        while True:
            self._line.until(b"\xff", deadline, most=LINE_BYTES)
            if self._answer(deadline).get("return") == number:
                return

    def run(self, command: str, timeout: float) -> Result:
        """After `sync`. Raises Silent, TimeoutError (the command goes on inside), RuntimeError (the agent refuses)."""
        deadline = time.monotonic() + timeout
        if self._windows is None:
            system = self._ask("guest-get-osinfo", {}, deadline, optional=True)
            self._windows = isinstance(system, dict) and system.get("id") == "mswindows"
        shell = ("cmd.exe", ["/c", command]) if self._windows else ("/bin/sh", ["-c", command])
        begun = self._ask("guest-exec", {"path": shell[0], "arg": shell[1], "capture-output": True}, deadline)
        pid = begun.get("pid") if isinstance(begun, dict) else None
        if not isinstance(pid, int):
            raise Silent("the agent does not say what it has started")
        while True:
            status = self._ask("guest-exec-status", {"pid": pid}, deadline)
            if not isinstance(status, dict):
                raise Silent("the agent does not say how it goes")
            if status.get("exited"):
                code = status.get("exitcode")
                if not isinstance(code, int):
                    code = -status["signal"] if isinstance(status.get("signal"), int) else -1
                return Result(code=code, out=_text(status.get("out-data")), err=_text(status.get("err-data")))
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{command!r} did not end within {timeout} s")
            self._line.listen(PAUSE_SECONDS)

    def _ask(self, verb: str, arguments: dict[str, Any], deadline: float, *, optional: bool = False) -> Any:
        self._line.send(json.dumps({"execute": verb, "arguments": arguments}).encode() + b"\n", deadline)
        answer = self._answer(deadline)
        if "return" in answer:
            return answer["return"]
        if optional:
            return None
        error = answer.get("error")
        words = str(error.get("desc")) if isinstance(error, dict) else "no reason"
        raise RuntimeError(f"the agent refuses {verb}: {words[:500]}")

    def _answer(self, deadline: float) -> dict[str, Any]:
        raw = self._line.until(b"\n", deadline, most=LINE_BYTES)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Silent("the agent does not speak JSON") from error
        if not isinstance(answer, dict):
            raise Silent("the agent does not speak its protocol")
        return answer


def _text(data: object) -> str:
    if not isinstance(data, str):
        return ""
    try:
        return base64.b64decode(data, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
