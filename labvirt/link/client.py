# SPDX-License-Identifier: MIT
"""The engine as web and command line see it: contracts.engine.EngineLink over its Unix socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from labvirt.contracts.engine import Change, DisplayTicket, EngineStatus, PoolStatus, TemplateReport
from labvirt.domain.addresses import MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.findings import Finding
from labvirt.domain.guest import RunId
from labvirt.domain.lease import Lease
from labvirt.errors import EngineAway, InvalidInput
from labvirt.link.codec import pack, unpack, unpack_error
from labvirt.link.verbs import VERBS
from labvirt.link.wire import Wire
from labvirt.system.sockets import connect_unix

CONNECT_SECONDS = 2.0
SEND_SECONDS = 5.0
ALIVE_SECONDS = 30.0
"""A watch in which nothing is heard for so long, not even a sign of life, is over."""


class EngineClient:
    """Keeps contracts.engine.EngineLink. One connection per question; may be used by many threads. Reconnecting a broken watch is the
    caller's matter."""

    def __init__(self, socket_path: Path) -> None:
        self._path = socket_path

    def status(self) -> EngineStatus:
        return cast(EngineStatus, self._ask("status"))

    def poke(self) -> None:
        self._ask("poke")

    def mint_display(self, guest: str, source: IPv4Address) -> DisplayTicket:
        return cast(DisplayTicket, self._ask("mint_display", guest, source))

    def leases(self, lab: str) -> tuple[Lease, ...]:
        return cast("tuple[Lease, ...]", self._ask("leases", lab))

    def demand_seconds(self, guest: str) -> float | None:
        return cast("float | None", self._ask("demand_seconds", guest))

    def screenshot(self, guest: str) -> bytes:
        return cast(bytes, self._ask("screenshot", guest))

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        verb = "open_console"
        wire = self._speak(verb, (run, kind))
        came: list[int] = []
        try:
            message = self._hear(wire, VERBS[verb].seconds, came)
            if "error" in message:
                raise unpack_error(message["error"])
            if len(came) != 1:
                raise EngineAway("it speaks another version of LabVirt (it sent no descriptor)")
            return came.pop()
        finally:
            wire.close()
            for each in came:
                os.close(each)

    def reset(self, guest: str) -> None:
        self._ask("reset", guest)

    def command_line(self, guest: str) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self._ask("command_line", guest))

    def preview(self, profile: str, lab: str, seat: int) -> tuple[str, ...]:
        return cast("tuple[str, ...]", self._ask("preview", profile, lab, seat))

    def wake(self, lab: str, macs: tuple[MacAddress, ...]) -> None:
        self._ask("wake", lab, macs)

    def in_front(self, guest: str, seconds: int) -> None:
        self._ask("in_front", guest, seconds)

    def verify(self) -> tuple[Finding, ...]:
        return cast("tuple[Finding, ...]", self._ask("verify"))

    def templates(self) -> TemplateReport:
        return cast(TemplateReport, self._ask("templates"))

    def pools(self) -> tuple[PoolStatus, ...]:
        return cast(tuple[PoolStatus, ...], self._ask("pools"))

    def freeze(self, guest: str, template: str) -> None:
        self._ask("freeze", guest, template)

    def remove_template(self, template: str) -> None:
        self._ask("remove_template", template)

    def doctor(self) -> tuple[Finding, ...]:
        return cast("tuple[Finding, ...]", self._ask("doctor"))

    def watch(self) -> Iterator[Change]:
        wire = self._speak("watch", ())
        try:
            while True:
                message = self._hear(wire, ALIVE_SECONDS)
                if "error" in message:
                    raise unpack_error(message["error"])
                if "item" in message:
                    yield unpack(Change, message["item"], "change")
        finally:
            wire.close()

    def _ask(self, verb: str, *arguments: object) -> Any:
        wire = self._speak(verb, arguments)
        parts: list[bytes] = []
        try:
            while True:
                message = self._hear(wire, VERBS[verb].seconds)
                if "error" in message:
                    raise unpack_error(message["error"])
                if "part" in message:
                    parts.append(unpack(bytes, message["part"], "part"))
                    continue
                if VERBS[verb].gives is bytes:
                    return b"".join(parts)
                return unpack(VERBS[verb].gives, message.get("answer"), "answer")
        except InvalidInput as error:
            if error.field.startswith(("answer", "part", "message", "error")):
                raise EngineAway(f"it speaks another version of LabVirt ({error})") from error
            raise
        finally:
            wire.close()

    def _speak(self, verb: str, arguments: tuple[object, ...]) -> Wire:
        try:
            wire = Wire(connect_unix(self._path, timeout=CONNECT_SECONDS))
        except FileNotFoundError as error:
            raise EngineAway("there is no engine.sock in the state folder") from error
        except ConnectionRefusedError as error:
            raise EngineAway("nobody listens on its socket") from error
        except PermissionError as error:
            raise EngineAway("its socket belongs to another user") from error
        except OSError as error:
            raise EngineAway(f"its socket cannot be reached ({error})") from error
        try:
            wire.send({"verb": verb, "arguments": [pack(argument) for argument in arguments]}, SEND_SECONDS)
        except BrokenPipeError:
            pass  # it hung up before it read: its word of farewell may still be there to be heard
        except OSError as error:
            wire.close()
            raise EngineAway(f"it does not take the question ({error})") from error
        except BaseException:
            wire.close()
            raise
        return wire

    @staticmethod
    def _hear(wire: Wire, seconds: float, descriptors: list[int] | None = None) -> dict[str, Any]:
        try:
            message = wire.receive(seconds, descriptors)
        except TimeoutError as error:
            raise EngineAway(f"it has not answered for {seconds:.0f} s") from error
        except OSError as error:
            raise EngineAway(f"the connection broke ({error})") from error
        if message is None:
            raise EngineAway("it hung up")
        return message
