# SPDX-License-Identifier: MIT
"""What is remembered of the rules is read again exactly when somebody else may have changed them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from labvirt.errors import NetworkError
from labvirt.network.nftables import rules
from labvirt.network.nftables.count import parse
from labvirt.network.nftables.known import Known
from labvirt.network.nftables.ruleset import BRIDGE, TABLE

from . import example

TOP = (1 << 32) - 1


class Counting:
    """A kernel that counts its transactions, and in which others work too."""

    def __init__(self) -> None:
        self.counted, self.reads, self.stands = 7, 0, example.port(1)
        self.meanwhile: Callable[[], None] = lambda: None
        self.refuses = False

    def count(self) -> int:
        return self.counted

    def run(self, commands: list[Any], *, operation: str, subject: str = "", check: bool = False) -> None:
        self.meanwhile()
        if self.refuses:
            raise NetworkError("no", operation=operation, subject=subject)
        self.other()

    def other(self) -> None:
        self.counted = self.counted + 1 if self.counted < TOP else 1

    def read(self, *what: dict[str, Any], operation: str) -> list[dict[str, Any]]:
        self.reads += 1
        found = rules.port_elements(self.stands)
        return [{"set": {"family": BRIDGE, "table": TABLE, "name": name, "elem": elements}} for (_, name), elements in found.items()]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting()
    monkeypatch.setattr("labvirt.network.nftables.known.count", made.count)
    return made


def known(kernel: Counting) -> Known:
    return Known(kernel)


def test_the_kernels_message_is_read_and_no_other() -> None:
    told = struct.pack("=IHHII BBH", 48, 10 << 8 | 15, 0, 1, 77, 0, 0, 0) + struct.pack("=HH", 8, 2) + struct.pack(">I", 4711)
    assert parse(told + struct.pack("=HH", 8, 1) + struct.pack(">I", 0x01020304)) == 0x01020304
    assert parse(told) is None
    assert parse(struct.pack("=IHHI i", 36, 2, 0, 1, -1) + bytes(16)) is None  # NLMSG_ERROR
    assert parse(told[:20] + bytes(8)) is None
    assert parse(b"") is None


ONE, TWO = example.port(1), example.port(2)
SET = rules.set_port(TWO, {})


def test_it_is_read_once_and_own_changes_are_known(kernel: Counting) -> None:
    ours = known(kernel)
    assert ours.port(ONE.tap) == rules.port_elements(ONE)
    assert ours.port(TWO.tap) == {}
    ours.set_port(TWO.tap, rules.port_elements(TWO), SET, operation="plug")
    assert ours.port(TWO.tap) == rules.port_elements(TWO)
    ours.set_port(ONE.tap, {}, rules.remove(rules.port_elements(ONE)), operation="unplug")
    assert ours.port(ONE.tap) == {}
    assert kernel.reads == 1


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_whoever_comes_in_between_makes_it_read_again(kernel: Counting, when: str) -> None:
    ours = known(kernel)
    ours.port(ONE.tap)
    if when == "before":
        kernel.other()
    kernel.meanwhile = kernel.other if when == "meanwhile" else lambda: None
    ours.set_port(TWO.tap, rules.port_elements(TWO), SET, operation="plug")
    if when == "after":
        kernel.other()
    assert ours.port(TWO.tap) == {}  # what this kernel says stands, and not what we believed
    assert kernel.reads == 2


def test_a_refusal_makes_it_read_again(kernel: Counting) -> None:
    ours = known(kernel)
    ours.port(ONE.tap)
    kernel.refuses = True
    with pytest.raises(NetworkError):
        ours.set_port(TWO.tap, rules.port_elements(TWO), SET, operation="plug")
    assert ours.port(TWO.tap) == {}
    assert kernel.reads == 2


def test_who_may_open_a_display_is_known_like_ports(kernel: Counting) -> None:
    ours, gateway = known(kernel), IPv4Address("10.77.0.1")
    grant = rules.Grant(source=IPv4Address("10.77.0.65"), gateway=gateway, port=20001)
    assert ours.grants(gateway, 20001) == []
    ours.set_grants((gateway, 20001), [grant], rules.set_grant(grant, []), operation="grant", subject="lvb000")
    assert ours.grants(gateway, 20001) == [grant]
    assert ours.grants(gateway, 20002) == []
    assert kernel.reads == 1
    kernel.other()  # somebody else flushed it: this kernel lists no grants
    assert ours.grants(gateway, 20001) == []
    assert kernel.reads == 2


def test_the_count_wraps_around(kernel: Counting) -> None:
    kernel.counted = TOP
    ours = known(kernel)
    ours.port(ONE.tap)
    ours.set_port(TWO.tap, rules.port_elements(TWO), SET, operation="plug")
    assert kernel.counted == 1
    assert ours.port(TWO.tap) == rules.port_elements(TWO)
    assert kernel.reads == 1
