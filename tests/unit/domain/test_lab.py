# SPDX-License-Identifier: MIT
"""A lab's identities: the same for ever, unique across labs, readable as names."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.addresses import LAST_SEAT, SEATS_PER_BLOCK, AddressPlan
from labvirt.domain.guest import RunId
from labvirt.domain.lab import Lab
from labvirt.errors import Exhausted, InvalidInput

LAB = Lab(name="lab-a", block=0, network=AddressPlan(IPv4Network("10.77.0.0/18")), max_instances=4079)
seats = st.one_of(st.integers(1, LAST_SEAT), st.integers(LAST_SEAT + 1, SEATS_PER_BLOCK - 1))


def test_an_identity_never_changes() -> None:
    """These values are in the world (activations, leases, DNS): a change here breaks every site."""
    identity = LAB.identity(7)
    assert (str(identity.mac), str(identity.tap)) == ("02:4c:56:00:00:07", "lvt000007")
    assert str(identity.uuid) == "d1f13d73-70b0-533d-bfab-2b46c6c8ffcc"
    assert (identity.guest, identity.serial, identity.display_port) == ("lab-a-07", "lab-a-07", 20007)


@given(seats, seats)
def test_two_seats_share_nothing(one: int, two: int) -> None:
    first, second = LAB.identity(one), LAB.identity(two)
    for field in ("guest", "mac", "address", "tap", "uuid", "serial", "display_port"):
        assert (getattr(first, field) == getattr(second, field)) is (one == two)


@given(
    st.sampled_from(["lab", "lab-1", "lab-01", "lab-s01", "a"]), seats, st.sampled_from(["lab", "lab-1", "lab-01", "lab-s01", "a"]), seats
)
def test_guests_of_two_labs_never_have_one_name(lab: str, seat: int, other: str, place: int) -> None:
    one, two = replace(LAB, name=lab).guest_name(seat), replace(LAB, name=other).guest_name(place)
    assert (one == two) is ((lab, seat) == (other, place))
    host = replace(LAB, name=other).terminal_host_name(place)
    assert one != host


@given(st.integers(1, LAST_SEAT), st.integers(1, 999_999_999))
def test_the_longest_names_still_fit_a_label_and_a_run(seat: int, generation: int) -> None:
    lab = replace(LAB, name="a" * 32)
    assert len(lab.guest_name(seat)) <= 63
    run = RunId(lab.guest_name(seat), generation)
    assert RunId.parse(str(run)) == run


def test_display_ports_stay_below_the_ephemeral_ones() -> None:
    assert LAB.identity(SEATS_PER_BLOCK - 1).display_port < 32768


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Lab"},
        {"max_instances": 0},
        {"max_instances": 4080},
        {"start_instances": -1},
        {"start_instances": 4080},
        {"leave_grace_seconds": -1},
        {"leave_grace_seconds": 86401},
        {"block": 4096},
        {"mac_prefix": 0x010000},
        {"domain": ""},
        {"domain": "a..b"},
        {"domain": "x y"},
        {"domain": ".".join(["a" * 30] * 7)},
    ],
)
def test_labs_that_cannot_be(change: dict[str, object]) -> None:
    replace(LAB, domain=".".join(["a" * 30] * 6))
    with pytest.raises(InvalidInput):
        replace(LAB, **change)  # type: ignore[arg-type]


def test_a_seat_beyond_the_network_has_no_identity() -> None:
    small = replace(LAB, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=63)
    assert small.identity(63).seat == 63
    with pytest.raises(Exhausted):
        small.identity(64)
