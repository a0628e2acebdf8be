# SPDX-License-Identifier: MIT
"""Answers as bytes, in the four forms of the protocol page. Pure. No form ever holds a secret."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from labvirt.domain.answer import Answer, Status, Viewer
from labvirt.domain.profile import Protocol
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.web.errors import retry_after, status_of

PROTOCOL_VERSION = 1


class Format(StrEnum):
    PLAIN = "plain"
    JSON = "json"
    RDP = "rdp"
    VV = "vv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Rendered bytes, their media type and a strong ETag over both."""

    content: bytes
    media_type: str
    tagged: bytes | None = None
    """What the ETag is made of instead of the content: a guess that shrinks each second is no change."""

    @property
    def etag(self) -> str:
        of = self.content if self.tagged is None else self.tagged
        return f'"{hashlib.sha256(self.media_type.encode() + of).hexdigest()[:24]}"'


def parse_format(value: str) -> Format:
    """Raises InvalidInput that lists the formats."""
    try:
        return Format(value)
    except ValueError as error:
        raise InvalidInput("format", f"must be one of {', '.join(Format)}") from error


def render(answer: Answer, form: Format, ca_pem: Callable[[], str]) -> Body:
    """The answer in `form`; `rdp` and `vv` fall back to `plain` unless the answer is ready and of that protocol.

    `ca_pem` is called for `vv` only, so that a site without its authority still answers in every other form.
    """
    viewer = answer.viewer
    if viewer is not None and answer.status is Status.READY:
        if form is Format.VV and viewer.protocol is Protocol.SPICE:
            return Body(content=_vv(answer, viewer, ca_pem()), media_type="application/x-virt-viewer")
        if form is Format.RDP and viewer.protocol is Protocol.RDP:
            return Body(content=_rdp(viewer), media_type="application/x-rdp")
    told = fields(answer)
    lasting = {key: value for key, value in told.items() if key != "expect_seconds"}
    if form is Format.JSON:
        return Body(content=as_json(told), media_type="application/json", tagged=as_json(lasting))
    return Body(content=plain(told), media_type="text/plain; charset=utf-8", tagged=plain(lasting))


def render_error(error: LabVirtError, form: Format) -> Body:
    """A refusal in the form that was asked for. What is wrong inside the controller is not told to strangers: the log has it."""
    ours = status_of(error) >= 500
    told: dict[str, object] = {
        "version": PROTOCOL_VERSION,
        "status": "error",
        "code": error.code,
        "message": "The controller cannot answer now. If it stays so, please tell your administrator." if ours else error.sentence,
        "help_code": f"LV-{error.code.upper()}" if ours else "",
        "hint": "" if ours else error.hint,
        "retry_seconds": retry_after(error) or "",
    }
    told = {key: value for key, value in told.items() if value != ""}
    if form is Format.JSON:
        return Body(content=as_json(told), media_type="application/json")
    return Body(content=plain(told), media_type="text/plain; charset=utf-8")


def fields(answer: Answer) -> dict[str, object]:
    """Key -> value in the page's order; absent where there is nothing to say (an empty argument says nothing to a viewer)."""
    told: dict[str, object | None] = {
        "version": PROTOCOL_VERSION,
        "status": str(answer.status),
        "message": answer.message,
        "help_code": answer.help_code,
        "terminal": answer.terminal,
        "lab": answer.lab,
        "seat": answer.seat,
        "guest": answer.guest,
        "since": _time(answer.since),
        "waits_for": answer.waits_for,
        "expect_seconds": answer.expect_seconds,
        "retry_seconds": answer.retry_seconds,
        "notice": answer.notice,
        "enrolment_code": answer.enrolment_code,
        "renew": str(answer.renew) if answer.renew else None,
    }
    if answer.viewer is not None:
        viewer = answer.viewer
        told |= {
            "protocol": str(viewer.protocol),
            "address": str(viewer.address),
            "port": viewer.port,
            "subject": viewer.subject,
            "program": viewer.program,
            "arguments": [word for word in viewer.arguments if word],
            "secret": "ticket" if viewer.secret else "none",
            "on_leave": str(viewer.on_leave),
        }
    told |= {"settings": dict(answer.settings) or None, "allowed": answer.allowed or None}
    return {key: value for key, value in told.items() if value is not None and value != ""}


def plain(told: dict[str, object]) -> bytes:
    """One key=value a line; a list becomes key without its s and a number (argument_1, argument_2), an object likewise with its keys
    (setting_sound), a tuple of words one line with commas."""
    lines = []
    for key, value in told.items():
        if isinstance(value, list):
            lines += [f"{key.removesuffix('s')}_{number}={_line(item)}" for number, item in enumerate(value, 1)]
        elif isinstance(value, dict):
            lines += [f"{key.removesuffix('s')}_{name}={_line(each)}" for name, each in value.items()]
        elif isinstance(value, tuple):
            lines.append(f"{key}={_line(','.join(value))}")
        elif value != "":
            lines.append(f"{key}={_line(value)}")
    return ("\n".join(lines) + "\n").encode()


def _line(value: object) -> str:
    return "".join(c if c.isprintable() else " " for c in str(value))


def as_json(told: dict[str, object]) -> bytes:
    """One JSON object and a line feed."""
    return (json.dumps(told, ensure_ascii=False) + "\n").encode("utf-8", "replace")  # a guest's words may hold half a surrogate


def _time(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if value else None


def _vv(answer: Answer, viewer: Viewer, ca_pem: str) -> bytes:
    """remote-viewer's connection file (remote-viewer(1), CONNECTION FILE): a TLS port only, so no channel can be in the clear."""
    lines = [
        "[virt-viewer]",
        "type=spice",
        f"host={viewer.address}",
        f"tls-port={viewer.port}",
        f"host-subject={viewer.subject}",
        "ca=" + ca_pem.strip().replace("\n", "\\n") + "\\n",
        f"title={answer.guest}",
        "delete-this-file=1",
        "enable-usbredir=0",
    ]
    return ("\n".join(lines) + "\n").encode()


def _rdp(viewer: Viewer) -> bytes:
    """The RDP file as FreeRDP reads it (keys of Microsoft's RDP file settings)."""
    lines = [
        f"full address:s:{viewer.address}:{viewer.port}",
        "screen mode id:i:2",
        "redirectclipboard:i:1",
        "networkautodetect:i:1",
        "prompt for credentials:i:0",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()
