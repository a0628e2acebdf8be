# SPDX-License-Identifier: MIT
"""The controller's answer to the terminal's question, checked: nothing that passes here can break a line or a file.

The fields are those of docs/reference/terminal-protocol.md. What to do with an answer is decided elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from labvirt_kiosk.sentence import clean, is_plain
from labvirt_kiosk.trouble import BadAnswer
from labvirt_kiosk.wishes import Wishes, texts, wishes_of, words

VERSION = 1
STATUSES = ("ready", "starting", "full", "failed", "inactive", "unknown")
LONGEST_ARGUMENT = 1024
MOST_ARGUMENTS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer. The connection fields are set only if `ready`."""

    status: str
    message: str
    help_code: str | None = None
    enrolment_code: str | None = None
    terminal: str | None = None
    lab: str | None = None
    seat: int | None = None
    guest: str | None = None
    waits_for: str | None = None
    expect_seconds: float | None = None
    retry_seconds: float | None = None
    notice: str | None = None
    protocol: str = ""
    address: str = ""
    port: int = 0
    program: str = ""
    arguments: tuple[str, ...] = ()
    needs_ticket: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    renew: str = ""
    """The address that DHCP has for this terminal, when it asked from another one."""

    @property
    def ready(self) -> bool:
        return self.status == "ready"

    @property
    def wishes(self) -> Wishes:
        """What the controller wishes of this terminal, checked."""
        return wishes_of(self.settings, self.allowed)

    @property
    def file_format(self) -> str | None:
        """The format of the file that the arguments ask for, `vv` or `rdp`; None if they ask for none."""
        text = "\n".join(self.arguments)
        return "vv" if "%VV%" in text else "rdp" if "%RDP%" in text else None

    @property
    def sentence(self) -> str:
        """The message with the codes that the person may have to read aloud."""
        said = self.message
        if self.enrolment_code and self.enrolment_code not in said:
            said += f" Enrolment code: {self.enrolment_code}"
        return f"{said} [{self.help_code}]" if self.help_code else said


def parse(body: bytes) -> Answer:
    """The answer in `body` (the protocol's `json` format). Raises BadAnswer, saying what is wrong with it."""
    if body.lstrip()[:1] == b"<":
        raise BadAnswer("a web page came instead of a LabVirt answer; check the controller's address")
    try:
        fields = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadAnswer("what came is not a LabVirt answer; check the controller's address") from error
    if not isinstance(fields, dict):
        raise BadAnswer("what came is not a LabVirt answer; check the controller's address")
    return from_fields(fields)


def from_fields(fields: Mapping[str, Any]) -> Answer:
    """The answer in decoded `fields`. Unknown fields are ignored, so that a newer controller may add some."""
    if fields.get("version") != VERSION:
        raise BadAnswer(
            f"the controller speaks version {clean(str(fields.get('version')), 10)} of the protocol and this terminal "
            f"version {VERSION}; update the terminal's image"
        )
    status = _text(fields, "status") or ""
    if status not in STATUSES:
        raise BadAnswer(f"the controller's answer has the unknown status {status!r}")
    answer = Answer(
        status=status,
        message=_text(fields, "message") or f"The controller says: {status}.",
        help_code=_text(fields, "help_code", 32),
        enrolment_code=_text(fields, "enrolment_code", 16),
        terminal=_text(fields, "terminal", 64),
        lab=_text(fields, "lab", 64),
        seat=_whole_number(fields, "seat", 0, 1_000_000),
        guest=_text(fields, "guest", 64),
        waits_for=_text(fields, "waits_for"),
        expect_seconds=_seconds(fields, "expect_seconds"),
        retry_seconds=_seconds(fields, "retry_seconds"),
        notice=_text(fields, "notice"),
        settings=texts(fields.get("settings")),
        allowed=words(list(given) if isinstance(given := fields.get("allowed"), list | tuple) else None),
        renew=_address(fields, "renew"),
    )
    return _with_connection(answer, fields) if answer.ready else answer


def _with_connection(answer: Answer, fields: Mapping[str, Any]) -> Answer:
    protocol, address = _text(fields, "protocol", 16), _text(fields, "address", 256)
    port = _whole_number(fields, "port", 1, 65535)
    arguments, right = fields.get("arguments", []), fields.get("secret", "none")
    if protocol not in ("spice", "rdp") or not address or " " in address or address.startswith("-") or port is None:
        raise BadAnswer("the controller's answer does not say where to connect")
    if right not in ("ticket", "none"):
        raise BadAnswer("the controller's answer does not say whether a ticket is needed")
    if not isinstance(arguments, list) or len(arguments) > MOST_ARGUMENTS:
        raise BadAnswer("the viewer's arguments in the controller's answer are not a list")
    for argument in arguments:
        if not isinstance(argument, str) or len(argument) > LONGEST_ARGUMENT or not is_plain(argument):
            raise BadAnswer("an argument in the controller's answer is too long or holds control characters")
    return replace(
        answer,
        protocol=protocol,
        address=address,
        port=port,
        program=_text(fields, "program", 64) or "",
        arguments=tuple(arguments),
        needs_ticket=right == "ticket",
    )


def _text(fields: Mapping[str, Any], key: str, limit: int = 200) -> str | None:
    value = fields.get(key)
    return (clean(value, limit) or None) if isinstance(value, str) else None


def _address(fields: Mapping[str, Any], key: str) -> str:
    """An IPv4 address, or empty: whatever else comes is as if nobody had said anything."""
    value = fields.get(key)
    try:
        return str(IPv4Address(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""


def _whole_number(fields: Mapping[str, Any], key: str, lowest: int, highest: int) -> int | None:
    value = fields.get(key)
    return value if type(value) is int and lowest <= value <= highest else None


def _seconds(fields: Mapping[str, Any], key: str) -> float | None:
    value = fields.get(key)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 86400 else None
