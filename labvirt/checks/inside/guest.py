# SPDX-License-Identifier: MIT
"""The guest as a check file sees it: `run` a command, look at a `port` or the `screen`, read what the `serial` line said.

It reaches the guest through descriptors that were opened outside: the agent's channel, the serial line, and one that asks for
pictures. Each of them may be missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from dataclasses import dataclass

from .agent import SYNC_SECONDS, Agent
from .lines import Line, Silent
from .result import Result
from .serial_line import SerialLine

VARIABLE = "LABVIRT_CHECK"
"""Environment: JSON with name, address, and the descriptors agent, serial, screen (absent: there is none)."""
PORT_SECONDS = 2.0
PICTURE_BYTES = 64 << 20
PICTURE_SECONDS = 30.0
AGENT_PAUSE_SECONDS = 30.0
"""A guest without an agent is not asked for it before each command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A picture of the guest's screen. `png` is the file; `size` is (width, height) in pixels."""

    png: bytes

    @property
    def size(self) -> tuple[int, int]:
        width, height = struct.unpack(">II", self.png[16:24])
        return int(width), int(height)


class Guest:
    """`name` and `address` are those that the lab gave it."""

    def __init__(self, name: str, address: str, *, agent: int | None = None, serial: int | None = None, screen: int | None = None) -> None:
        self.name = name
        self.address = address
        self._agent = None if agent is None else Agent(Line(socket.socket(fileno=agent)))
        self._line = None if serial is None else Line(socket.socket(fileno=serial))
        self._serial = None if self._line is None else SerialLine(self._line)
        self._screen = None if screen is None else socket.socket(fileno=screen)
        self._ask_agent_at = 0.0

    @classmethod
    def from_environment(cls) -> Guest:
        told = json.loads(os.environ[VARIABLE])
        return cls(told["name"], told["address"], agent=told.get("agent"), serial=told.get("serial"), screen=told.get("screen"))

    def run(self, command: str, timeout: float = 30) -> Result:
        """The command was run by the guest's shell: through its agent when that answers, else over its serial line.

        Raises TimeoutError (it did not end in time), RuntimeError (nobody inside answers; the agent refuses).
        """
        try:
            if self._agent is not None and self._agent_answers(self._agent):
                return self._agent.run(command, timeout)
            if self._serial is not None:
                return self._serial.run(command, timeout)
        except Silent as error:
            raise RuntimeError(f"nobody inside {self.name} answers: {error}") from error
        raise RuntimeError(f"nobody inside {self.name} answers: it has no serial line, and no agent that does")

    def _agent_answers(self, agent: Agent) -> bool:
        if time.monotonic() < self._ask_agent_at:
            return False
        try:
            agent.sync(time.monotonic() + SYNC_SECONDS)
        except Silent:
            self._ask_agent_at = time.monotonic() + AGENT_PAUSE_SECONDS
            return False
        return True

    def port(self, number: int) -> bool:
        """Does it accept a TCP connection there, within two seconds?"""
        with contextlib.suppress(OSError), socket.create_connection((self.address, number), timeout=PORT_SECONDS):
            return True
        return False

    def screen(self) -> Screen:
        """Its screen now. Raises RuntimeError with the reason when there is no picture."""
        if self._screen is None:
            raise RuntimeError("nobody takes pictures here")
        self._screen.settimeout(PICTURE_SECONDS)
        self._screen.sendall(b"?")
        fine, length = struct.unpack(">BI", self._exactly(5))
        if length > PICTURE_BYTES:
            raise RuntimeError("the picture is too large")
        data = self._exactly(length)
        if not fine:
            raise RuntimeError(data.decode("utf-8", "replace"))
        return Screen(png=data)

    @property
    def serial(self) -> str:
        """The last that its serial line said since the checks began, at most 64 KiB."""
        if self._line is None:
            return ""
        with contextlib.suppress(Silent):
            self._line.listen(0.0)
        return self._line.tail().decode("utf-8", "replace")

    def _exactly(self, length: int) -> bytes:
        assert self._screen is not None
        data = bytearray()
        while len(data) < length:
            piece = self._screen.recv(min(65536, length - len(data)))
            if not piece:
                raise RuntimeError("nobody takes pictures any more")
            data += piece
        return bytes(data)
