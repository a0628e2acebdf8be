# SPDX-License-Identifier: MIT
"""A terminal that asks until its guest runs: what the kiosk does, without the kiosk."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

WAIT_SECONDS = 60
"""The longest that the protocol allows to hold a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """On the clock time.monotonic(): when the first question was sent, and when an answer said `ready`."""

    asked: float
    ready: float
    guest: str
    unanswered: tuple[str, ...] = ()
    """Questions that got no answer, or an error: why. Like a kiosk we ask again."""


def ask_until_ready(door: tuple[str, int], mac: str, *, timeout: float) -> Ready:
    """Raises TimeoutError with the last answer's sentence."""
    asked = time.monotonic()
    unanswered: list[str] = []
    said = "no answer"
    while time.monotonic() < asked + timeout:
        try:
            answer = ask(door, mac)
        except (OSError, http.client.HTTPException) as error:
            unanswered.append(f"{type(error).__name__}: {error}")
            continue
        if answer["status"] == "ready":
            return Ready(asked=asked, ready=time.monotonic(), guest=answer["guest"], unanswered=tuple(unanswered))
        if answer["status"] == "error":
            unanswered.append(answer["message"])
        said = answer["message"]
        time.sleep(min(0.5, float(answer.get("retry_seconds", 0.5))))
    raise TimeoutError(f"{mac} has no guest after {timeout:.0f} s: {said}")


def ask(door: tuple[str, int], mac: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(*door, timeout=WAIT_SECONDS + 30)
    try:
        connection.request("GET", f"/terminals/config?id={mac}&format=json&wait={WAIT_SECONDS}")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer
    finally:
        connection.close()
