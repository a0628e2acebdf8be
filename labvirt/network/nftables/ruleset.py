# SPDX-License-Identifier: MIT
"""The base: tables, sets, chains and rules that are the same on every host and name no lab. PURE values.

1. Labs, ports and grants are only elements of the sets (rules.py). Unknown 'lvt*' ports are closed by the base alone.
2. Every rule carries a comment with the digest of the whole base: reading them back shows whether the base stands as it
   should, whichever way this version of nft spells its rules.
3. No conntrack: the bridge family has none on many kernels. A new TCP connection is known by SYN without ACK.
4. IPv6 is closed for guests altogether: nothing here would bind an IPv6 address to a port.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from labvirt.network.dhcp.netboot import TFTP_PORTS
from labvirt.network.nftables.expressions import (
    Statement,
    accept,
    both,
    drop,
    equals,
    field,
    is_in,
    is_not_in,
    jump,
    limited,
    masked,
    meta,
    remember,
    span,
    unequal,
)

TABLE = "labvirt"
BRIDGE, INET = "bridge", "inet"
FAMILIES = (BRIDGE, INET)

RDP_PORT = 3389
FLOW_SECONDS = 30
"""So long a connection counts as seen after its last packet; an idle RDP session sends more often."""

GUEST_PORTS = "lvt*"
LAB_BRIDGES = "lvb*"

DHCP_PER_SECOND, DHCP_BURST = 10, 20
FLOOD_PER_SECOND, FLOOD_BURST = 100, 200
"""Frames to more than one receiver, per guest port: a desktop sends a few a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSet:
    family: str
    name: str
    type: str | list[str]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseChain:
    """`hook` None: a chain that others jump to. Policies are accept: what is not ours is not our business."""

    family: str
    name: str
    rules: tuple[tuple[Statement, ...], ...]
    hook: str | None = None
    priority: int = 0


_METER = {"flags": ["timeout"], "timeout": 60, "size": 65536}

SETS = (
    BaseSet(family=BRIDGE, name="macs", type=["ifname", "ether_addr"], options={}),
    BaseSet(family=BRIDGE, name="ports", type=["ifname", "ether_addr", "ipv4_addr"], options={}),
    BaseSet(family=BRIDGE, name="gateways", type="ipv4_addr", options={}),
    BaseSet(family=BRIDGE, name="networks", type="ipv4_addr", options={"flags": ["interval"]}),
    BaseSet(family=BRIDGE, name="quarantine", type="ipv4_addr", options={"flags": ["interval"]}),
    BaseSet(family=BRIDGE, name="servers", type="ipv4_addr", options={"flags": ["interval"]}),
    BaseSet(family=BRIDGE, name="asking", type="ifname", options=_METER),
    BaseSet(family=BRIDGE, name="flooding", type="ifname", options=_METER),
    BaseSet(
        family=BRIDGE,
        name="flows",
        type=["ipv4_addr", "ipv4_addr", "inet_service"],
        options={"flags": ["timeout"], "timeout": FLOW_SECONDS, "size": 65536},
    ),
    BaseSet(family=INET, name="doors", type=["ifname", "ipv4_addr"], options={}),
    BaseSet(family=INET, name="same", type=["ifname", "ifname"], options={}),
    BaseSet(family=INET, name="quarantine", type="ipv4_addr", options={"flags": ["interval"]}),
    BaseSet(family=INET, name="controllers", type=["ipv4_addr", "inet_service"], options={}),
    BaseSet(family=INET, name="displays", type=["ipv4_addr", "inet_service"], options={"flags": ["interval"]}),
    BaseSet(family=INET, name="granted", type=["ipv4_addr", "ipv4_addr", "inet_service"], options={}),
)
"""macs, ports: what may speak through which guest port. servers: of others, whose DHCP guests may hear.
asking, flooding: rate limits. doors: each lab's gateway on its bridge.
same: pairs of equal bridge names. displays: viewer ports, closed. granted: (source, gateway, port) that are open."""

LAB_SETS = ("gateways", "networks", "quarantine", "servers", "doors", "same", "controllers", "displays")

_from_guest = equals(meta("iifname"), GUEST_PORTS)
_to_guest = equals(meta("oifname"), GUEST_PORTS)
_from_lab = equals(meta("iifname"), LAB_BRIDGES)
_arp, _ip, _ip6 = (equals(field("ether", "type"), name) for name in ("arp", "ip", "ip6"))
_tcp_flags = field("tcp", "flags")
_new_connection = equals(masked(_tcp_flags, ["syn", "ack"]), "syn")
_asks_dhcp = (equals(field("udp", "sport"), 68), equals(field("udp", "dport"), 67))
_answers_dhcp = equals(field("udp", "sport"), 67)
_TFTP: tuple[Any, ...] = (69, span(*TFTP_PORTS))
_port_mac_address = both(meta("iifname"), field("ether", "saddr"), field("ip", "saddr"))

CHAINS = (
    # A frame that came in from a guest says who it is, or it goes no further: not to the fdb's neighbours, not to the host.
    BaseChain(
        family=BRIDGE,
        name="guest_arp",
        rules=(
            (unequal(field("arp", "htype"), 1), drop()),
            (unequal(field("arp", "ptype"), 0x0800), drop()),
            (
                is_in(both(meta("iifname"), field("arp", "saddr ether"), field("arp", "saddr ip")), "ports"),
                accept(),
            ),
            # The probe before an address is taken into use names no sender (RFC 5227, 2.1.1); Windows and others send it.
            (
                equals(field("arp", "operation"), "request"),
                equals(field("arp", "saddr ip"), "0.0.0.0"),  # noqa: S104 - an address in a frame, nothing is bound
                is_in(both(meta("iifname"), field("arp", "saddr ether")), "macs"),
                accept(),
            ),
            (drop(),),
        ),
    ),
    BaseChain(
        family=BRIDGE,
        name="guest_ip",
        rules=(
            (_answers_dhcp, drop()),
            (equals(field("udp", "dport"), 67), limited("asking", DHCP_PER_SECOND, DHCP_BURST), drop()),
            (
                equals(field("ip", "saddr"), "0.0.0.0"),  # noqa: S104 - an address in a frame, nothing is bound
                equals(field("ip", "daddr"), "255.255.255.255"),
                *_asks_dhcp,
                accept(),
            ),
            (is_in(_port_mac_address, "ports"), accept()),
            (drop(),),
        ),
    ),
    BaseChain(
        family=BRIDGE,
        name="guest",
        rules=(
            # Bridge protocols, LLDP, 802.1X (IEEE 802.1D table 7-10): a desktop is not a switch.
            (equals(masked(field("ether", "daddr"), "ff:ff:ff:ff:ff:f0"), "01:80:c2:00:00:00"), drop()),
            (is_not_in(both(meta("iifname"), field("ether", "saddr")), "macs"), drop()),
            (
                equals(masked(field("ether", "daddr"), "01:00:00:00:00:00"), "01:00:00:00:00:00"),
                limited("flooding", FLOOD_PER_SECOND, FLOOD_BURST),
                drop(),
            ),
            (_arp, jump("guest_arp")),
            (_ip, jump("guest_ip")),
            # IPv6, VLAN tags and everything else: closed.
            (drop(),),
        ),
    ),
    BaseChain(
        family=BRIDGE,
        name="prerouting",
        hook="prerouting",
        priority=-300,
        rules=(
            (_from_guest, jump("guest")),
            # Of the others nobody on the wire is the gateway: that is this machine.
            (is_in(field("arp", "saddr ip"), "gateways"), drop()),
            (is_in(field("ip", "saddr"), "gateways"), drop()),
        ),
    ),
    BaseChain(
        family=BRIDGE,
        name="forward",
        hook="forward",
        priority=-200,
        rules=(
            # Isolated ports do this already; a port that lost its isolation shall not matter.
            (_from_guest, _to_guest, drop()),
            (_to_guest, _ip6, drop()),
            # Guests hear this host's DHCP; the campus's in labs that have given it over, from the addresses kept for servers.
            (_to_guest, _answers_dhcp, is_not_in(field("ip", "saddr"), "servers"), drop()),
            (is_in(field("ip", "saddr"), "quarantine"), drop()),
            (is_in(field("arp", "saddr ip"), "quarantine"), drop()),
            # Presence: packets of established connections (ACK, neither SYN nor RST) keep the flow alive for FLOW_SECONDS.
            (
                _to_guest,
                equals(field("tcp", "dport"), RDP_PORT),
                equals(masked(_tcp_flags, ["syn", "rst", "ack"]), "ack"),
                remember("flows", both(field("ip", "saddr"), field("ip", "daddr"), field("tcp", "dport"))),
            ),
        ),
    ),
    BaseChain(
        family=BRIDGE,
        name="guest_to_host",
        rules=(
            (_arp, accept()),
            (*_asks_dhcp, accept()),
            (is_in(field("ip", "daddr"), "gateways"), equals(field("udp", "dport"), 53), accept()),
            (is_in(field("ip", "daddr"), "gateways"), equals(field("tcp", "dport"), 53), accept()),
            # Answers to what the host asked: a packet with ACK opens nothing and tells nothing about ports.
            (is_in(field("ip", "daddr"), "gateways"), equals(masked(_tcp_flags, ["ack"]), "ack"), accept()),
            (
                is_in(field("ip", "daddr"), "gateways"),
                equals(field("icmp", "type"), {"set": ["echo-reply", "destination-unreachable"]}),
                accept(),
            ),
            # The host as a detour: to this or another lab's terminals and guests, or to another gateway.
            (is_in(field("ip", "daddr"), "networks"), drop()),
            (equals(masked(field("ether", "daddr"), "01:00:00:00:00:00"), "01:00:00:00:00:00"), drop()),
        ),
    ),
    BaseChain(family=BRIDGE, name="input", hook="input", priority=-200, rules=((_from_guest, jump("guest_to_host")),)),
    BaseChain(family=BRIDGE, name="output", hook="output", priority=-200, rules=((_to_guest, _ip6, drop()),)),
    BaseChain(
        family=INET,
        name="lab_to_host",
        rules=(
            (equals(meta("nfproto"), "ipv6"), drop()),
            (*_asks_dhcp, accept()),
            # The host's other addresses are not for labs.
            (is_not_in(both(meta("iifname"), field("ip", "daddr")), "doors"), drop()),
            (equals(field("udp", "dport"), 53), accept()),
            (equals(field("tcp", "dport"), 53), accept()),
            # Where firmware asks a proxyDHCP server what to boot (PXE 2.1, 2.2.3), when it has an address already.
            (equals(field("udp", "dport"), 4011), accept()),
            (
                is_in(field("ip", "saddr"), "quarantine"),
                is_in(both(field("ip", "daddr"), field("tcp", "dport")), "controllers"),
                accept(),
            ),
            # Boot loaders: the question, and the acknowledgements of what is sent (RFC 1350, 4).
            *((is_in(field("ip", "saddr"), "quarantine"), equals(field("udp", "dport"), port), accept()) for port in _TFTP),
            (is_in(field("ip", "saddr"), "quarantine"), drop()),
        ),
    ),
    BaseChain(
        family=INET,
        name="input",
        hook="input",
        priority=-10,
        rules=(
            (
                is_in(both(field("ip", "daddr"), field("tcp", "dport")), "displays"),
                _new_connection,
                is_not_in(both(field("ip", "saddr"), field("ip", "daddr"), field("tcp", "dport")), "granted"),
                drop(),
            ),
            (_from_lab, jump("lab_to_host")),
        ),
    ),
    BaseChain(
        family=INET,
        name="forward",
        hook="forward",
        priority=-10,
        rules=(
            (is_in(field("ip", "saddr"), "quarantine"), drop()),
            # From lab to lab. With bridge-nf-call-iptables=1 a lab's own frames come by here too, hence the pairs.
            (
                _from_lab,
                equals(meta("oifname"), LAB_BRIDGES),
                is_not_in(both(meta("iifname"), meta("oifname")), "same"),
                drop(),
            ),
        ),
    ),
)


def _digest() -> str:
    text = json.dumps(
        [[(c.family, c.name, c.hook, c.priority, c.rules) for c in CHAINS], [(s.family, s.name, s.type, s.options) for s in SETS]]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:12]


DIGEST = _digest()


def comment(index: int) -> str:
    """The mark of rule `index` of its chain: reading it back tells a foreign or missing rule."""
    return f"{TABLE} {DIGEST} {index}"
