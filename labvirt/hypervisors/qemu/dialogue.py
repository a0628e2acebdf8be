# SPDX-License-Identifier: MIT
"""The first words with a QEMU that has just greeted, on the connection that waited for the greeting: one command after the other, events
waited for and not polled. Afterwards session.py listens to the run.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from typing import Any

from labvirt.errors import DriverTimeout, HypervisorError

_LINE_LIMIT = 1 << 20


class Dialogue:
    """With the QEMU of `guest`, until `deadline` (time.monotonic). Each call raises HypervisorError, DriverTimeout."""

    def __init__(self, connection: socket.socket, guest: str, *, deadline: float) -> None:
        self._connection = connection
        self._guest = guest
        self._deadline = deadline
        self._heard = b""
        self._events: list[Mapping[str, Any]] = []

    def give(self, seconds: float) -> None:
        """From now on it has so much time."""
        self._deadline = time.monotonic() + seconds

    def is_over(self) -> bool:
        """Has QEMU ended, or said that it will? Does not wait."""
        try:
            self._connection.settimeout(0)
            piece = self._connection.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._heard += piece
        return not piece or len(self._heard) > _LINE_LIMIT

    def execute(self, command: str, *, descriptor: int | None = None, **arguments: object) -> object:
        """QEMU's answer. `descriptor` goes along with the command."""
        line = json.dumps({"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}})
        try:
            self._connection.settimeout(self._left())
            socket.send_fds(self._connection, [line.encode() + b"\n"], () if descriptor is None else (descriptor,))
        except TimeoutError as error:
            raise self._late() from error
        except OSError as error:
            raise self._ended() from error
        while True:
            message = self._next()
            if "return" in message:
                return message["return"]
            if "error" in message:
                why = str(message["error"].get("desc", "")) if isinstance(message["error"], dict) else ""
                raise HypervisorError(f"QEMU refused {command} for {self._guest}: {why[:300]}", operation=command, subject=self._guest)
            self._events.append(message)

    def await_event(self, name: str, **data: tuple[str, ...]) -> Mapping[str, Any]:
        """The data of the first event of this name whose data are among these."""
        while True:
            for place, event in enumerate(self._events):
                told = event.get("data")
                told = told if isinstance(told, Mapping) else {}
                if event.get("event") == name and all(told.get(key) in values for key, values in data.items()):
                    del self._events[: place + 1]
                    return told
            self._events = [self._next()]

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._heard:
            try:
                self._connection.settimeout(self._left())
                piece = self._connection.recv(65536)
            except TimeoutError as error:
                raise self._late() from error
            except OSError as error:
                raise self._ended() from error
            if not piece or len(self._heard) > _LINE_LIMIT:
                raise self._ended()
            self._heard += piece
        line, _, self._heard = self._heard.partition(b"\n")
        try:
            message = json.loads(line)
        except ValueError as error:
            raise self._ended() from error
        return message if isinstance(message, dict) else {}

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def _late(self) -> DriverTimeout:
        return DriverTimeout(
            f"{self._guest} did not wake in time.", operation="clone", subject=self._guest, hint="The host is overloaded. Try again."
        )

    def _ended(self) -> HypervisorError:
        return HypervisorError(f"{self._guest} ended while it was woken.", operation="clone", subject=self._guest)
