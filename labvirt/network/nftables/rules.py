# SPDX-License-Identifier: MIT
"""Labs, ports and grants as transactions of libnftables JSON (libnftables-json(5)). PURE: values in, commands out; doer.py
runs each list as one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from labvirt.contracts.network import GuestPort, LabNetwork
from labvirt.network.nftables.expressions import Command, both, span
from labvirt.network.nftables.ruleset import BRIDGE, CHAINS, FAMILIES, INET, LAB_SETS, SETS, TABLE, comment


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Grant:
    """This source may open new connections to this display port on this gateway."""

    source: IPv4Address
    gateway: IPv4Address
    port: int


Elements = dict[tuple[str, str], list[Any]]
"""(family, set) -> elements as libnftables writes them."""


def replace(labs: Iterable[LabNetwork], ports: Iterable[GuestPort], grants: Iterable[Grant]) -> list[Command]:
    """Everything, whatever was there before: one transaction, no moment without rules."""
    commands: list[Command] = []
    for family in FAMILIES:
        table = {"table": {"family": family, "name": TABLE}}
        commands += [{"add": table}, {"delete": table}, {"add": table}]
    commands += [{"add": {"set": {"family": s.family, "table": TABLE, "name": s.name, "type": s.type, **s.options}}} for s in SETS]
    for chain in CHAINS:
        hook = {"type": "filter", "hook": chain.hook, "prio": chain.priority, "policy": "accept"} if chain.hook else {}
        commands.append({"add": {"chain": {"family": chain.family, "table": TABLE, "name": chain.name, **hook}}})
    for chain in CHAINS:
        for index, rule in enumerate(chain.rules):
            place = {"family": chain.family, "table": TABLE, "chain": chain.name}
            commands.append({"add": {"rule": {**place, "expr": list(rule), "comment": comment(index)}}})
    commands += _add(lab_elements(labs))
    for port in ports:
        commands += _add(port_elements(port))
    commands += _add(_grant_elements(grants))
    return commands


def set_labs(labs: Iterable[LabNetwork]) -> list[Command]:
    """Exactly these labs are known; ports and grants stay."""
    commands: list[Command] = [{"flush": {"set": {"family": s.family, "table": TABLE, "name": s.name}}} for s in SETS if s.name in LAB_SETS]
    return commands + _add(lab_elements(labs))


def set_port(port: GuestPort, stale: Elements) -> list[Command]:
    """The port may speak as itself; its earlier elements are gone."""
    return _delete(stale) + _add(port_elements(port))


def remove(stale: Elements) -> list[Command]:
    """These elements are gone."""
    return _delete(stale)


def set_grant(grant: Grant, stale: Iterable[Grant]) -> list[Command]:
    """Only this source may connect to the port; earlier grants of it are gone."""
    return _delete(_grant_elements(stale)) + _add(_grant_elements([grant]))


def remove_grants(stale: Iterable[Grant]) -> list[Command]:
    """These grants are gone."""
    return _delete(_grant_elements(stale))


def lab_elements(labs: Iterable[LabNetwork]) -> Elements:
    found: Elements = {(s.family, s.name): [] for s in SETS if s.name in LAB_SETS}
    for lab in labs:
        gateway = str(lab.gateway)
        quarantine = span(*(str(end) for end in lab.quarantine))
        network = {"prefix": {"addr": str(lab.network.network_address), "len": lab.network.prefixlen}}
        found[BRIDGE, "gateways"].append(gateway)
        found[BRIDGE, "networks"].append(network)
        found[BRIDGE, "quarantine"].append(quarantine)
        if lab.dhcp_servers is not None:
            found[BRIDGE, "servers"].append(span(*(str(end) for end in lab.dhcp_servers)))
        found[INET, "quarantine"].append(quarantine)
        found[INET, "doors"].append(both(str(lab.bridge), gateway))
        found[INET, "same"].append(both(str(lab.bridge), str(lab.bridge)))
        found[INET, "controllers"].append(both(gateway, lab.controller_port))
        found[INET, "displays"].append(both(gateway, span(*lab.display_ports)))
    return found


def port_elements(port: GuestPort) -> Elements:
    tap, mac, address = str(port.tap), str(port.mac), str(port.address)
    return {(BRIDGE, "macs"): [both(tap, mac)], (BRIDGE, "ports"): [both(tap, mac, address)]}


def by_port(elements: Elements) -> dict[str, Elements]:
    """Out of all elements those that speak of guest ports: the port's name -> what `port_elements` would say of it."""
    found: dict[str, Elements] = {}
    for key in ((BRIDGE, "macs"), (BRIDGE, "ports")):
        for element in elements.get(key, []):
            found.setdefault(element["concat"][0], {}).setdefault(key, []).append(element)
    return found


def _grant_elements(grants: Iterable[Grant]) -> Elements:
    return {(INET, "granted"): [both(str(g.source), str(g.gateway), g.port) for g in grants]}


def _add(elements: Elements) -> list[Command]:
    return _change("add", elements)


def _delete(elements: Elements) -> list[Command]:
    return _change("delete", elements)


def _change(verb: str, elements: Elements) -> list[Command]:
    return [
        {verb: {"element": {"family": family, "table": TABLE, "name": name, "elem": found}}}
        for (family, name), found in elements.items()
        if found
    ]
