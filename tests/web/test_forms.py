# SPDX-License-Identifier: MIT
"""Answers as bytes: golden files for viewers, and what can never break a reader."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt import errors
from labvirt.domain.answer import Answer, Status, Viewer
from labvirt.domain.lab import OnLeave
from labvirt.domain.profile import Protocol
from labvirt.web.errors import STATUS, retry_after, status_of
from labvirt.web.terminal.render import Format, render, render_error

CA = "-----BEGIN CERTIFICATE-----\nQUJD\nREVG\n-----END CERTIFICATE-----\n"

SPICE = Viewer(
    protocol=Protocol.SPICE,
    address=IPv4Address("10.77.0.1"),
    port=20007,
    subject="CN=lab-a-07",
    program="remote-viewer",
    arguments=("--full-screen", "%VV%"),
    secret=True,
    on_leave=OnLeave.RESET,
)
RDP = replace(
    SPICE,
    protocol=Protocol.RDP,
    address=IPv4Address("10.77.0.135"),
    port=3389,
    subject=None,
    program="xfreerdp",
    arguments=("/v:10.77.0.135:3389", "/u:", ""),
    secret=False,
)
READY = Answer(
    status=Status.READY,
    message="lab-a-07 is ready.",
    terminal="lab-a-t07",
    lab="lab-a",
    seat=7,
    guest="lab-a-07",
    since=datetime(2026, 11, 20, 8, 0, 3, 250_000, tzinfo=UTC),
    viewer=SPICE,
)

VV = b"""[virt-viewer]
type=spice
host=10.77.0.1
tls-port=20007
host-subject=CN=lab-a-07
ca=-----BEGIN CERTIFICATE-----\\nQUJD\\nREVG\\n-----END CERTIFICATE-----\\n
title=lab-a-07
delete-this-file=1
enable-usbredir=0
"""

RDP_FILE = (
    b"full address:s:10.77.0.135:3389\r\n"
    b"screen mode id:i:2\r\n"
    b"redirectclipboard:i:1\r\n"
    b"networkautodetect:i:1\r\n"
    b"prompt for credentials:i:0\r\n"
)

PLAIN = b"""version=1
status=ready
message=lab-a-07 is ready.
terminal=lab-a-t07
lab=lab-a
seat=7
guest=lab-a-07
since=2026-11-20T08:00:03Z
protocol=spice
address=10.77.0.1
port=20007
subject=CN=lab-a-07
program=remote-viewer
argument_1=--full-screen
argument_2=%VV%
secret=ticket
on_leave=reset
"""


def no_ca() -> str:
    raise AssertionError("only vv needs the CA")


def test_golden_files() -> None:
    vv = render(READY, Format.VV, lambda: CA)
    assert (vv.content, vv.media_type) == (VV, "application/x-virt-viewer")
    rdp = render(replace(READY, viewer=RDP), Format.RDP, no_ca)
    assert (rdp.content, rdp.media_type) == (RDP_FILE, "application/x-rdp")
    plain = render(READY, Format.PLAIN, no_ca)
    assert (plain.content, plain.media_type) == (PLAIN, "text/plain; charset=utf-8")


def test_json_has_the_same_keys_and_real_numbers() -> None:
    told = json.loads(render(READY, Format.JSON, no_ca).content)
    keys = [line.split("=")[0] for line in PLAIN.decode().splitlines()]
    assert list(told) == [*keys[:13], "arguments", "secret", "on_leave"]
    assert (told["version"], told["seat"], told["port"]) == (1, 7, 20007)


def test_no_empty_values() -> None:
    told = json.loads(render(replace(READY, viewer=RDP, waits_for=""), Format.JSON, no_ca).content)
    assert told["arguments"] == ["/v:10.77.0.135:3389", "/u:"]
    assert "" not in told.values()
    assert b"=\n" not in render(replace(READY, viewer=RDP, waits_for=""), Format.PLAIN, no_ca).content


@pytest.mark.parametrize("form", [Format.VV, Format.RDP])
@pytest.mark.parametrize("status", [status for status in Status if status is not Status.READY])
def test_viewer_files_only_when_ready(form: Format, status: Status) -> None:
    waiting = replace(READY, status=status, viewer=None)
    assert render(waiting, form, no_ca) == render(waiting, Format.PLAIN, no_ca)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_a_line(message: str, why: str) -> None:
    body = render(Answer(status=Status.STARTING, message=message, waits_for=why), Format.PLAIN, no_ca).content.decode()
    keys = [line.partition("=")[0] for line in body.splitlines()]
    assert keys == ["version", "status", *(["message"] if message else []), *(["waits_for"] if why else [])]


@given(st.characters())
def test_json_takes_every_character(character: str) -> None:
    json.loads(render(Answer(status=Status.FAILED, message=f"<{character}>"), Format.JSON, no_ca).content)


def test_half_a_surrogate_is_replaced() -> None:
    for form in (Format.PLAIN, Format.JSON):
        assert b"so \xef" not in render(Answer(status=Status.FAILED, message="so \udcff"), form, no_ca).content


def leaves(cls: type[errors.LabVirtError]) -> list[type[errors.LabVirtError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in leaves(sub))]


def test_every_error_has_a_status() -> None:
    for cls in leaves(errors.LabVirtError):
        error = cls.__new__(cls)
        assert 400 <= status_of(error) <= 599
    assert STATUS[errors.LabVirtError] == 500  # a new branch of the tree is ours until somebody decides


def test_refusals_keep_the_controllers_insides_to_themselves() -> None:
    inside = errors.DatabaseError("The database /var/lib/labvirt/labvirt.db is busy.", hint="fuser -v /var/lib/labvirt/labvirt.db")
    for form in (Format.PLAIN, Format.JSON):
        body = render_error(inside, form).content
        assert b"/var/lib" not in body
        assert b"LV-DATABASE" in body
    outside = render_error(errors.InvalidInput("id", "is wrong", hint="Use the MAC."), Format.PLAIN).content
    assert b"message=id: is wrong\nhint=Use the MAC.\n" in outside


def test_every_503_says_when_to_come_again() -> None:
    lasting = errors.DatabaseError("The database is damaged.")
    lasting.retryable = False
    for error in (lasting, errors.EngineAway(), errors.HostNotReady("No room."), errors.Exhausted("seats", "No seat.")):
        assert status_of(error) == 503
        assert (retry_after(error) or 0) > 0
    assert retry_after(errors.NotFound("terminal", "x")) is None
