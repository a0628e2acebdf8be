# SPDX-License-Identifier: MIT
"""dnsmasq's lease file, whole, torn and strange."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from labvirt.network.dhcp import leases

LINE = "1700000000 02:4c:56:00:10:07 10.77.0.135 lab-a-07 01:02:4c:56:00:10:07"


def test_a_lease_is_read() -> None:
    (lease,), strange = leases.parse(LINE + "\n", "lab-a")
    assert strange == 0
    assert (lease.lab, str(lease.mac), str(lease.address), lease.name) == (
        "lab-a",
        "02:4c:56:00:10:07",
        "10.77.0.135",
        "lab-a-07",
    )
    assert lease.expires == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "line, name, expires",
    [
        (LINE.replace("1700000000", "0"), "lab-a-07", None),
        (LINE.replace("lab-a-07", "*"), None, datetime.fromtimestamp(1700000000, UTC)),
        (LINE.replace("lab-a-07", "<script>"), None, datetime.fromtimestamp(1700000000, UTC)),
    ],
)
def test_special_values_are_understood(line: str, name: str | None, expires: datetime | None) -> None:
    (lease,), strange = leases.parse(line, "lab-a")
    assert (lease.name, lease.expires, strange) == (name, expires, 0)


@pytest.mark.parametrize(
    "line",
    [
        "17000",
        "1700000000 02:4c:56:00:10:07",
        "soon 02:4c:56:00:10:07 10.77.0.135 a *",
        "1700000000 02:4c:56:00:10 10.77.0.135 a *",
        "1700000000 02:4c:56:00:10:07 10.77.0.1350 a *",
        "1700000000 ff:ff:ff:ff:ff:ff 10.77.0.135 a *",
        "999999999999 02:4c:56:00:10:07 10.77.0.135 a *",
        "\x00\x00\x00\x00",
    ],
)
def test_a_line_that_cannot_be_is_counted_and_the_others_are_read(line: str) -> None:
    found, strange = leases.parse(f"{line}\n{LINE}\n", "lab-a")
    assert (len(found), strange) == (1, 1)


def test_nothing_and_ipv6_are_no_leases() -> None:
    assert leases.parse("", "lab-a") == ((), 0)
    six = "duid 00:01:00:01\n1700000000 1234567 fd00::1 lab-a-07 00:01\n"
    assert leases.parse(six, "lab-a") == ((), 0)
