# SPDX-License-Identifier: MIT
"""The attacks of one student on others and on the gateway. Each is first shown to work on a plain bridge."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pytest

from labvirt.network.nftables.ruleset import DHCP_BURST, DHCP_PER_SECOND, FLOOD_BURST, FLOOD_PER_SECOND
from tests.network import frames, wire
from tests.network.frames import BROADCAST, NOBODY

pytestmark = pytest.mark.real

ANY = IPv4Address("0.0.0.0")
ALL = IPv4Address("255.255.255.255")


@dataclass(frozen=True)
class Attack:
    """`hits` names who gets the frame on a plain bridge."""

    forge: Callable[[wire.Wire], bytes]
    hits: tuple[str, ...]


def student_to_student(w: wire.Wire) -> bytes:
    ends = (w.attacker.address, w.victim.address)
    return frames.udp(w.victim.mac, w.attacker.mac, ends, (4000, 4001), b"psst")


def i_am_the_gateway(w: wire.Wire) -> bytes:
    return frames.arp(BROADCAST, w.attacker.mac, 2, (w.attacker.mac, w.gateway), (NOBODY, w.victim.address))


def i_am_the_victim(w: wire.Wire) -> bytes:
    return frames.arp(BROADCAST, w.attacker.mac, 1, (w.attacker.mac, w.victim.address), (NOBODY, w.gateway))


def own_address_of_another_card(w: wire.Wire) -> bytes:
    return frames.arp(BROADCAST, w.attacker.mac, 1, (w.victim.mac, w.attacker.address), (NOBODY, w.gateway))


def dhcp_offer(w: wire.Wire) -> bytes:
    offer = frames.dhcp(2, w.victim.mac, 2)
    return frames.udp(BROADCAST, w.attacker.mac, (w.attacker.address, ALL), (67, 68), offer)


def router_advertisement(w: wire.Wire) -> bytes:
    return frames.icmpv6("33:33:00:00:00:01", w.attacker.mac, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0))


def neighbour_advertisement(w: wire.Wire) -> bytes:
    claim = struct.pack("!I", 0x20000000) + IPv6Address("fe80::1").packed + b"\x02\x01" + frames.mac(w.attacker.mac)
    return frames.icmpv6("33:33:00:00:00:01", w.attacker.mac, 136, claim)


def bridge_protocol(w: wire.Wire) -> bytes:
    # Configuration BPDU with the best possible root (IEEE 802.1D, 9.3.1) in an 802.3 frame.
    bpdu = b"\x42\x42\x03" + bytes(5) + bytes(8) + bytes(4) + bytes(8) + bytes(10)
    return frames.ethernet("01:80:c2:00:00:00", w.attacker.mac, len(bpdu), bpdu)


def address_of_the_victim(w: wire.Wire) -> bytes:
    return frames.udp(BROADCAST, w.attacker.mac, (w.victim.address, ALL), (4000, 4001), b"it was not me")


def card_of_the_victim(w: wire.Wire) -> bytes:
    return frames.udp(BROADCAST, w.victim.mac, (w.attacker.address, ALL), (4000, 4001), b"it was not me")


def inside_a_vlan_tag(w: wire.Wire) -> bytes:
    plain = i_am_the_gateway(w)
    return plain[:12] + b"\x81\x00\x00\x00" + plain[12:]


ATTACKS = {
    attack.forge.__name__: attack
    for attack in (
        Attack(student_to_student, ("victim",)),
        Attack(i_am_the_gateway, ("victim", "terminal")),
        Attack(i_am_the_victim, ("host", "terminal", "victim")),
        Attack(own_address_of_another_card, ("host", "terminal", "victim")),
        Attack(dhcp_offer, ("victim", "terminal", "host")),
        Attack(router_advertisement, ("victim", "terminal", "host")),
        Attack(neighbour_advertisement, ("victim", "terminal", "host")),
        Attack(bridge_protocol, ("victim", "terminal")),
        Attack(address_of_the_victim, ("victim", "terminal", "host")),
        Attack(card_of_the_victim, ("victim", "terminal", "host")),
        Attack(inside_a_vlan_tag, ("victim", "terminal")),
    )
}


def hit_by(attack: Attack, w: wire.Wire) -> set[str]:
    frame = attack.forge(w)
    w.attacker.send(frame)
    return {who for who in ("victim", "terminal", "host") if frame in w.heard(getattr(w, who))}


def is_honestly_served(w: wire.Wire) -> None:
    """What a student must be able to do reaches the gateway."""
    asks_gateway = frames.arp(BROADCAST, w.attacker.mac, 1, (w.attacker.mac, w.attacker.address), (NOBODY, w.gateway))
    probe = frames.arp(BROADCAST, w.attacker.mac, 1, (w.attacker.mac, ANY), (NOBODY, w.attacker.address))
    discover = frames.udp(BROADCAST, w.attacker.mac, (ANY, ALL), (68, 67), frames.dhcp(1, w.attacker.mac, 1))
    name = frames.udp(w.gateway_mac, w.attacker.mac, (w.attacker.address, w.gateway), (4000, 53), b"name?")
    w.attacker.send(asks_gateway, probe, discover, name)
    assert {asks_gateway, probe, discover, name} <= set(w.heard(w.host))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_that_works_on_a_plain_bridge_reaches_nobody(name: str) -> None:
    attack = ATTACKS[name]
    plain = wire.make(filtered=False)
    try:
        assert hit_by(attack, plain) >= set(attack.hits)
    finally:
        plain.close()
    lab = wire.make(filtered=True)
    try:
        is_honestly_served(lab)
        assert hit_by(attack, lab) == set()
        is_honestly_served(lab)
    finally:
        lab.close()


def test_the_place_of_a_victim_on_the_bridge_cannot_be_stolen() -> None:
    def steal(w: wire.Wire) -> tuple[bool, bool]:
        """Who gets what a terminal sends to the victim: attacker, victim."""
        own = frames.udp(w.gateway_mac, w.victim.mac, (w.victim.address, w.gateway), (4000, 53))
        w.victim.send(own)
        w.attacker.send(frames.udp(w.gateway_mac, w.victim.mac, (w.attacker.address, w.gateway), (4000, 53)))
        secret = frames.udp(w.victim.mac, w.terminal.mac, (w.terminal.address, w.victim.address), (4000, 3389), b"secret")
        w.terminal.send(secret)
        return secret in w.heard(w.attacker), secret in w.heard(w.victim)

    plain = wire.make(filtered=False)
    try:
        assert steal(plain) == (True, False)
    finally:
        plain.close()
    lab = wire.make(filtered=True)
    try:
        assert steal(lab) == (False, True)
    finally:
        lab.close()


def test_a_terminal_reaches_guests_and_guests_answer_it() -> None:
    w = wire.make(filtered=True)
    try:
        ends = (w.terminal.address, w.victim.address)
        call = frames.tcp(w.victim.mac, w.terminal.mac, ends, (4000, 3389), frames.SYN)
        answer = frames.tcp(w.terminal.mac, w.victim.mac, ends[::-1], (3389, 4000), frames.SYN | frames.ACK)
        w.terminal.send(call)
        assert call in w.heard(w.victim)
        w.victim.send(answer)
        assert answer in w.heard(w.terminal)
    finally:
        w.close()


def test_a_terminal_cannot_be_the_gateway_or_a_dhcp_server_for_guests() -> None:
    def heard_by_victim(w: wire.Wire) -> list[bool]:
        claim = frames.arp(BROADCAST, w.terminal.mac, 2, (w.terminal.mac, w.gateway), (NOBODY, w.victim.address))
        offer = frames.udp(BROADCAST, w.terminal.mac, (w.terminal.address, ALL), (67, 68), frames.dhcp(2, w.victim.mac, 2))
        router = frames.icmpv6("33:33:00:00:00:01", w.terminal.mac, 134, struct.pack("!BBHII", 64, 0, 1800, 0, 0))
        w.terminal.send(claim, offer, router)
        heard = w.heard(w.victim)
        return [frame in heard for frame in (claim, offer, router)]

    plain, lab = wire.make(filtered=False), wire.make(filtered=True)
    try:
        assert heard_by_victim(plain) == [True] * 3
        assert heard_by_victim(lab) == [False] * 3
    finally:
        plain.close()
        lab.close()


def test_a_storm_of_one_guest_is_cut_and_others_are_not_touched() -> None:
    def storm(w: wire.Wire) -> tuple[int, int]:
        """How many broadcasts and DHCP questions of 1000 each reach the gateway."""
        shout = frames.udp(BROADCAST, w.attacker.mac, (w.attacker.address, ALL), (4000, 4001), b"shout")
        asks = frames.udp(w.gateway_mac, w.attacker.mac, (w.attacker.address, w.gateway), (68, 67), b"ask")
        heard: list[bytes] = []
        begun = time.monotonic()
        for _ in range(50):  # in pieces that no buffer loses
            w.attacker.send(*[shout] * 20)
            w.attacker.send(*[asks] * 20)
            heard += w.heard(w.terminal, w.host)
        seconds = int(time.monotonic() - begun) + 2  # however slow this machine is
        assert w.network is None or heard.count(shout) <= 2 * (FLOOD_BURST + FLOOD_PER_SECOND * seconds)
        assert w.network is None or heard.count(asks) <= DHCP_BURST + DHCP_PER_SECOND * seconds
        return heard.count(shout), heard.count(asks)

    plain, lab = wire.make(filtered=False), wire.make(filtered=True)
    try:
        assert storm(plain) == (2000, 1000)  # broadcasts: the terminal hears them too
        shouts, asks = storm(lab)
        assert shouts >= FLOOD_BURST
        assert asks >= DHCP_BURST
        is_honest = frames.udp(BROADCAST, lab.victim.mac, (ANY, ALL), (68, 67), frames.dhcp(1, lab.victim.mac, 1))
        lab.victim.send(is_honest)
        assert is_honest in lab.heard(lab.host)
    finally:
        plain.close()
        lab.close()
