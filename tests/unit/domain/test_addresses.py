# SPDX-License-Identifier: MIT
"""MACs, interface names, and the plan of a lab's network: unique, inside, predictable by hand."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.addresses import BLOCKS, LAST_SEAT, SEATS_PER_BLOCK, SPECIALS, AddressPlan, BlockPlan, InterfaceName, MacAddress
from labvirt.errors import Exhausted, InvalidInput

PREFIXES = range(18, 27)
macs = st.integers(1, (1 << 48) - 1).filter(lambda value: not value >> 40 & 1).map(MacAddress)
plans = st.builds(
    lambda prefix, offset: AddressPlan(IPv4Network((0x0A000000 + (offset << (32 - prefix)) % (1 << 24), prefix))),
    st.sampled_from(PREFIXES),
    st.integers(0, (1 << 18) - 1),
)


@given(macs)
def test_a_mac_survives_every_usual_spelling(mac: MacAddress) -> None:
    digits = f"{mac.value:012x}"
    pairs = [digits[i : i + 2] for i in range(0, 12, 2)]
    fours = [digits[i : i + 4] for i in range(0, 12, 4)]
    spellings = [str(mac), "-".join(pairs), ".".join(fours), digits, digits.upper(), f" {mac}\n"]
    assert {MacAddress.parse(spelling) for spelling in spellings} == {mac}


@given(st.text(max_size=40))
def test_parsing_gives_a_mac_or_says_the_field(text: str) -> None:
    try:
        mac = MacAddress.parse(text, "hardware")
    except InvalidInput as error:
        assert error.field in ("hardware", "mac")  # noqa: PT017 - refused or parsed, both are right
    else:
        assert f"{mac.value:012x}" == "".join(c for c in text.lower() if c in "0123456789abcdef")


@given(st.ip_addresses(v=4))
def test_an_ip_address_is_never_taken_for_a_mac(address: object) -> None:
    with pytest.raises(InvalidInput):
        MacAddress.parse(str(address))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:4c:56:00:10",
        "02:4c:56:00:10:07:08",
        "02:4c-56:00:10:07",
        "024c:56001007",
        "０2:4c:56:00:10:07",
        "x" * 300,
        "100.100.100.100",
    ],
)
def test_what_is_no_mac_is_refused(text: str) -> None:
    assert str(MacAddress.parse("02-4C-56-00-10-07")) == "02:4c:56:00:10:07"
    with pytest.raises(InvalidInput, match="not a MAC"):
        MacAddress.parse(text)


@pytest.mark.parametrize("text", ["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"])
def test_group_and_zero_addresses_are_nobodys(text: str) -> None:
    with pytest.raises(InvalidInput, match="mac"):
        MacAddress.parse(text)


@given(plans)
def test_every_address_of_a_plan_is_inside_and_nobody_shares_one(plan: AddressPlan) -> None:
    seats = range(1, plan.capacity + 1)
    specials = range(LAST_SEAT + 1, SEATS_PER_BLOCK)
    first, last = plan.quarantine
    quarantine = [first + n for n in range(int(last) - int(first) + 1)]
    everybody = [
        plan.network.network_address,
        plan.network.broadcast_address,
        plan.gateway,
        *quarantine,
        *map(plan.terminal, seats),
        *map(plan.guest, seats),
        *map(plan.guest, specials),
    ]
    assert len(set(everybody)) == len(everybody)
    assert all(address in plan.network for address in everybody)
    assert len(quarantine) >= 14
    assert len(specials) == SPECIALS


@given(plans, st.integers(-5, SEATS_PER_BLOCK + 5))
def test_seats_beyond_the_plan_are_refused(plan: AddressPlan, seat: int) -> None:
    if 1 <= seat <= plan.capacity:
        assert int(plan.guest(seat)) - int(plan.network.network_address) == plan.network.num_addresses // 2 + seat
        return
    with pytest.raises(Exhausted, match=f"Seat {seat} "):
        plan.terminal(seat)
    if not LAST_SEAT < seat < SEATS_PER_BLOCK:
        with pytest.raises(Exhausted):
            plan.guest(seat)


def test_the_numbers_of_the_module_text() -> None:
    capacity = {prefix: AddressPlan(IPv4Network((0x0A000000, prefix))).capacity for prefix in (18, 22, 24, 26)}
    assert capacity == {18: 4079, 22: 255, 24: 63, 26: 14}
    plan = AddressPlan(IPv4Network("10.77.0.0/24"))
    assert [str(a) for a in (plan.terminal(1), plan.guest(1), plan.guest(LAST_SEAT + 1), plan.guest(SEATS_PER_BLOCK - 1))] == [
        "10.77.0.65",
        "10.77.0.129",
        "10.77.0.239",
        "10.77.0.254",
    ]


@pytest.mark.parametrize(
    "network",
    [
        "10.0.0.0/17",
        "10.0.0.0/27",
        "8.8.8.0/24",
        "127.0.0.0/24",
        "169.254.0.0/24",
        "240.0.0.0/24",
        "192.0.2.0/24",
        "198.18.0.0/24",
        "0.0.0.0/24",
    ],
)
def test_networks_that_are_not_ours_to_plan(network: str) -> None:
    assert AddressPlan(IPv4Network("172.31.255.0/24")).capacity == AddressPlan(IPv4Network("192.168.0.0/24")).capacity
    with pytest.raises(InvalidInput, match="network"):
        AddressPlan(IPv4Network(network))


@given(st.integers(0, BLOCKS - 1), st.integers(0, SEATS_PER_BLOCK - 1), st.integers(0, BLOCKS - 1), st.integers(0, SEATS_PER_BLOCK - 1))
def test_block_and_seat_decide_mac_and_tap_and_nothing_else_does(block: int, seat: int, other: int, place: int) -> None:
    one, two = BlockPlan(block=block), BlockPlan(block=other)
    same = (block, seat) == (other, place)
    assert (one.mac(seat) == two.mac(place)) is same
    assert (one.tap(seat) == two.tap(place)) is same
    assert one.bridge != one.tap(seat)
    assert len(str(one.tap(seat))) <= 15
    assert str(one.mac(seat)).startswith("02:4c:56")


@pytest.mark.parametrize("block, prefix", [(-1, 0x024C56), (4096, 0x024C56), (0, 0x004C56), (0, 0x034C56), (0, 0), (0, 1 << 24)])
def test_blocks_and_prefixes_that_cannot_be(block: int, prefix: int) -> None:
    BlockPlan(block=4095, mac_prefix=0xFE0000)
    with pytest.raises(InvalidInput):
        BlockPlan(block=block, mac_prefix=prefix)
    with pytest.raises(InvalidInput):
        BlockPlan(block=0).mac(SEATS_PER_BLOCK)


@pytest.mark.parametrize("name", ["", "a" * 16, "lvb-1", "Lvb", "1ab", "lvb\n", "../x", "lvb0é"])
def test_interface_names_are_letters_and_digits(name: str) -> None:
    assert str(InterfaceName("lvt000fff")) == "lvt000fff"
    with pytest.raises(InvalidInput):
        InterfaceName(name)
