# SPDX-License-Identifier: MIT
"""Every value that travels comes back equal, every error as the same leaf; what does not fit is refused by name."""

from __future__ import annotations

import inspect
import typing
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt import errors
from labvirt.contracts.engine import Change, DisplayTicket, EngineLink, EngineStatus, Presence
from labvirt.domain.addresses import MacAddress
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.image import DiskChoice
from labvirt.domain.lease import Lease
from labvirt.errors import InvalidInput, LabVirtError
from labvirt.link.codec import MAX_LINE, decode, encode, pack, pack_error, unpack, unpack_error
from labvirt.link.verbs import VERBS

T0 = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
FINDING = Finding(code="x", severity=Severity.ERROR, sentence="Eine Zeile\nund \N{SNOWMAN}.", fix="labvirt verify")
GUEST = Guest(
    name="lab-07",
    lab="lab",
    seat=7,
    wish=Wish.RUNNING,
    generation=3,
    state=GuestState.CONNECTED,
    since=T0,
    disks=(DiskChoice(place=0, image="tiny", version=2), DiskChoice(place=1, image="data", version=1)),
    run=RunId("lab-07", 3),
    stop_how=StopHow.KILL,
    asked_at=T0,
)
SESSION = replace(
    GUEST,
    purpose=Purpose.ADMIN,
    source="tiny.d5",
    cdrom="/srv/ü b.iso",
    boot_cdrom=True,
    due=Due.FRESH,
    due_at=T0,
    notice='tiny is being "updated"',
)
VALUES = [
    (
        EngineStatus,
        EngineStatus(
            pid=7,
            version="1",
            driver="qemu",
            accelerator="tcg",
            notice="",
            started_at=T0,
            reconciled_at=None,
            findings=(FINDING, FINDING),
            queue=("lab-01",),
        ),
    ),
    (Change, Change(guest=GUEST, presence=Presence(guest="lab-07", display=True, flow=False, peer="10.0.0.1", since=T0))),
    (Guest, SESSION),
    (Guest, replace(SESSION, purpose=Purpose.RESCUE, source="lab-07.g2", cdrom="", boot_cdrom=False, due=None, due_at=None, notice="")),
    (DisplayTicket, DisplayTicket(guest="a", address=IPv4Address("10.0.0.1"), port=20001, secret="s", expires_seconds=30)),
    (
        DisplayTicket,
        DisplayTicket(
            guest="a", address=IPv4Address("10.0.0.1"), port=3389, secret="s", expires_seconds=30, user="student", fingerprint="ab" * 32
        ),
    ),
    (
        tuple[Lease, ...],
        (Lease(lab="lab", mac=MacAddress.parse("02:4c:56:00:10:07"), address=IPv4Address("10.0.0.9"), name=None, expires=T0),),
    ),
    (tuple[Finding, ...], ()),
    (tuple[str, ...], ("qemu-system-x86_64", "-name", 'a b"c')),
    (tuple[str, int], ("a", 5)),
    (bytes, bytes(range(256))),
    (str | None, None),
    (float, 1.5),
    (None, None),
]


@pytest.mark.parametrize("kind, value", VALUES)
def test_values_come_back_equal(kind: object, value: object) -> None:
    line = encode({"answer": pack(value)})
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert unpack(kind, decode(line)["answer"]) == value


def everybody(kind: type[LabVirtError] = LabVirtError) -> list[type[LabVirtError]]:
    return [kind, *(one for child in kind.__subclasses__() if child.__module__ == errors.__name__ for one in everybody(child))]


@pytest.mark.parametrize("leaf", everybody())
def test_errors_come_back_as_themselves(leaf: type[LabVirtError]) -> None:
    filled: dict[str, object] = {}
    for name, parameter in inspect.signature(leaf.__init__).parameters.items():
        if name not in ("self", "hint"):
            filled[name] = 7 if parameter.annotation == "int" else f"<{name}>"
    sent = leaf(**filled)
    sent.__cause__ = OSError("not for others")
    back = unpack_error(decode(encode({"error": pack_error(sent)}))["error"])
    assert type(back) is leaf
    assert (str(back), back.hint, back.code, back.retryable) == (str(sent), sent.hint, sent.code, sent.retryable)
    assert vars(back) == vars(sent)


def test_an_error_of_a_newer_engine_keeps_its_words() -> None:
    back = unpack_error({"code": "from-the-future", "sentence": "It rains.", "hint": "Wait.", "__class__": "x", "args": "y"})
    assert type(back) is LabVirtError
    assert (str(back), back.hint) == ("It rains.", "Wait.")


@pytest.mark.parametrize(
    "kind, data",
    [
        (int, True),
        (int, "5"),
        (str, 5),
        (tuple[str, ...], "abc"),
        (tuple[str, int], ["a"]),
        (IPv4Address, "10.0.0.999"),
        (IPv4Address, 5),
        (GuestState, "dancing"),
        (Purpose, "fun"),
        (Due | None, "later"),
        (datetime, "yesterday"),
        (bytes, "!!"),
        (RunId, {"guest": "../x", "generation": 1}),
        (Presence, {"guest": "a", "display": True, "flow": False, "more": 1}),
        (Presence, ["a"]),
        (None, 1),
    ],
)
def test_what_does_not_fit_is_refused(kind: object, data: object) -> None:
    with pytest.raises(InvalidInput):
        unpack(kind, data)


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(InvalidInput):
        unpack(Presence, {"guest": "a"})


@pytest.mark.parametrize("line", [b"", b"\n", b"{", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_garbage_is_no_message(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(line)


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(line: bytes) -> None:
    try:
        decode(line)
    except InvalidInput:
        return


def test_a_line_has_a_greatest_length() -> None:
    assert encode({"a": "x" * (MAX_LINE - 20)})
    with pytest.raises(InvalidInput):
        encode({"a": "x" * MAX_LINE})


def test_the_verbs_are_those_of_the_contract() -> None:
    offered = {name: one for name, one in vars(EngineLink).items() if inspect.isfunction(one) and not name.startswith("_")}
    assert set(VERBS) == set(offered)
    for name, one in offered.items():
        hints = typing.get_type_hints(one)
        gives = hints.pop("return")
        if VERBS[name].stream:
            gives = typing.get_args(gives)[0]
        assert tuple(hints.values()) == VERBS[name].takes, name
        assert (type(None) if VERBS[name].gives is None else VERBS[name].gives) == gives, name
