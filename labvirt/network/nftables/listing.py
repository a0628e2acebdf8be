# SPDX-License-Identifier: MIT
"""What nft says that stands now, read into values. PURE; the inverse of rules.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from labvirt.contracts.network import Flow, LabNetwork
from labvirt.network.nftables.rules import Elements, Grant, lab_elements
from labvirt.network.nftables.ruleset import BRIDGE, CHAINS, INET, SETS, TABLE, comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """`chains`: for each chain its hook, priority and the comments of its rules, in order. `flagged`: a table was made
    dormant or given to somebody (table flags)."""

    elements: Elements = field(default_factory=dict)
    chains: dict[tuple[str, str], tuple[str | None, int, tuple[str, ...]]] = field(default_factory=dict)
    flagged: bool = False

    @property
    def base_intact(self) -> bool:
        """Every table, set, chain and rule of the base stands, in order, and nothing was put into our chains."""
        wanted = {(c.family, c.name): (c.hook, c.priority, tuple(comment(i) for i in range(len(c.rules)))) for c in CHAINS}
        return not self.flagged and self.chains == wanted and set(self.elements) == {(s.family, s.name) for s in SETS}

    def knows(self, labs: Iterable[LabNetwork]) -> bool:
        """The sets speak of exactly these labs."""
        wanted = lab_elements(labs)
        return all(_normal(self.elements.get(key, [])) == _normal(elements) for key, elements in wanted.items())

    @property
    def filtered(self) -> frozenset[str]:
        """Names of the ports that may speak as somebody."""
        return frozenset(element["concat"][0] for element in self.elements.get((BRIDGE, "ports"), []))

    @property
    def grants(self) -> tuple[Grant, ...]:
        found = (element["concat"] for element in self.elements.get((INET, "granted"), []))
        return tuple(Grant(source=IPv4Address(source), gateway=IPv4Address(gateway), port=int(port)) for source, gateway, port in found)

    @property
    def flows(self) -> tuple[Flow, ...]:
        found = (element["concat"] for element in self.elements.get((BRIDGE, "flows"), []))
        return tuple(
            Flow(source=IPv4Address(source), destination=IPv4Address(destination), port=int(port)) for source, destination, port in found
        )


def parse(objects: Iterable[dict[str, Any]]) -> Listing:
    """Read the objects of one or several `list` answers; objects of other tables are passed over."""
    elements: Elements = {}
    chains: dict[tuple[str, str], tuple[str | None, int, list[str]]] = {}
    flagged = False
    for thing in objects:
        for kind, value in thing.items():
            if kind == "table" and value["name"] == TABLE:
                # Ours have no flags. Which one it is cannot be asked: nft 1.0.6 writes a wrong string there.
                flagged = flagged or bool(value.get("flags"))
            if value.get("table") != TABLE:
                continue
            if kind == "set":
                elements[value["family"], value["name"]] = [_value(element) for element in value.get("elem", [])]
            elif kind == "chain":
                hook, priority = value.get("hook"), value.get("prio", 0)
                if value.get("policy", "accept") != "accept":
                    hook = f"{hook} with policy {value['policy']}"
                chains[value["family"], value["name"]] = (hook, priority, [])
            elif kind == "rule":
                chains.setdefault((value["family"], value["chain"]), (None, 0, []))[2].append(value.get("comment", ""))
    return Listing(
        elements=elements,
        chains={key: (hook, priority, tuple(found)) for key, (hook, priority, found) in chains.items()},
        flagged=flagged,
    )


def _value(element: Any) -> Any:
    """Elements of sets with a timeout are wrapped together with their age."""
    return element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element


def _normal(elements: Iterable[Any]) -> set[Any]:
    """nft may write a range as a prefix and a range of one as itself: all the same here."""
    return {_plain(element) for element in elements}


def _plain(element: Any) -> Any:
    if isinstance(element, dict) and "concat" in element:
        return tuple(_plain(part) for part in element["concat"])
    if isinstance(element, dict) and "range" in element:
        first, last = element["range"]
        return str(first), str(last)
    if isinstance(element, dict) and "prefix" in element:
        network = IPv4Network((element["prefix"]["addr"], element["prefix"]["len"]))
        return str(network.network_address), str(network.broadcast_address)
    return str(element), str(element)
