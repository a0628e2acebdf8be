# SPDX-License-Identifier: MIT
"""LinuxNetwork keeps contracts.network.Network with rtnetlink and nftables, in the network namespace of the process.

1. The base of the rules stands before any bridge or TAP, and closes every 'lvt*' port that has no identity.
2. plug: identity into the sets, then the TAP, then up. unplug: the TAP, then the sets. So a kill at any point leaves a port
   closed, or an identity without a port.
3. The kernel is the memory: labs and ports are noted on their interfaces (memo.py). What is remembered of the rules stands only for as long
   as nobody else changed any (nftables/known.py).
"""

from __future__ import annotations

import logging
import threading
from ipaddress import IPv4Address

from pyroute2 import IPRoute

from labvirt.contracts.network import Flow, GuestPort, LabNetwork, NetworkState
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.errors import LabVirtError, NetworkError
from labvirt.network import bridge as bridges
from labvirt.network import links, magic, memo
from labvirt.network import tap as taps
from labvirt.network.nftables import listing, rules
from labvirt.network.nftables.doer import Nft, is_absent
from labvirt.network.nftables.known import Known
from labvirt.network.nftables.ruleset import BRIDGE, FAMILIES, TABLE

log = logging.getLogger(__name__)


class LinuxNetwork:
    """One per engine. Safe to be called from several threads; changes are made one after another."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._nft = Nft()
        self._known = Known(self._nft)

    def ensure_lab(self, lab: LabNetwork) -> None:
        if not links.BRIDGE_NAME.match(str(lab.bridge)):
            raise NetworkError(f"{lab.bridge} is not a bridge's name of ours.", operation="ensure", subject=str(lab.bridge))
        with self._lock, links.rtnetlink("ensure", lab.bridge) as route:
            found = self._list()
            labs = {**self._noted_labs(route), lab.bridge: lab}
            if not found.base_intact:
                self._mend(route, labs, found)
            elif not found.knows(labs.values()):
                self._nft.run(rules.set_labs(labs.values()), operation="ensure", subject=str(lab.bridge))
            bridges.ensure(route, lab)

    def remove_lab(self, bridge: InterfaceName) -> None:
        with self._lock, links.rtnetlink("remove", bridge) as route:
            index = links.index_of(bridge)
            for link in links.look_all(route) if index is not None else ():
                if link.master == index and links.TAP_NAME.match(str(link.name)):
                    self.unplug(link.name)
            gone = self._noted_labs(route).get(bridge)
            links.remove(route, bridge, "bridge")
            found = self._list()
            if not found.base_intact:
                return
            rest = self._noted_labs(route)
            grants = [grant for grant in found.grants if gone and grant.gateway == gone.gateway]
            self._nft.run(rules.set_labs(rest.values()) + rules.remove_grants(grants), operation="remove", subject=str(bridge))

    def plug(self, port: GuestPort) -> None:
        if not links.TAP_NAME.match(str(port.tap)):
            raise NetworkError(f"{port.tap} is not a TAP's name of ours.", operation="plug", subject=str(port.tap))
        with self._lock, links.rtnetlink("plug", port.tap) as route:
            index = links.index_of(port.bridge)
            if index is None:
                raise NetworkError(
                    f"The bridge {port.bridge} of {port.tap} is not there.",
                    operation="plug",
                    subject=str(port.tap),
                    hint="The engine makes it again within seconds; try again then.",
                )
            try:
                self._set_port(route, port)
                taps.ensure(route, port, index)
            except BaseException:
                self._undo_plug(port.tap)
                raise

    def unplug(self, tap: InterfaceName) -> None:
        with self._lock:
            with links.rtnetlink("unplug", tap) as route:
                if links.TAP_NAME.match(str(tap)):
                    links.remove(route, tap, "tun")
            self._known.set_port(tap, {}, rules.remove(self._known.port(tap)), operation="unplug")

    def grant_display(self, bridge: InterfaceName, source: IPv4Address, port: int) -> None:
        with self._lock:
            lab = self._lab_of(bridge)
            if lab is None or not lab.display_ports[0] <= port <= lab.display_ports[1]:
                raise NetworkError(f"{port} is no display port of {bridge}.", operation="grant", subject=str(bridge), hint="labvirt verify")
            wanted = rules.Grant(source=source, gateway=lab.gateway, port=port)
            stale = self._known.grants(lab.gateway, port)
            if stale != [wanted]:
                door, commands = (lab.gateway, port), rules.set_grant(wanted, stale)
                self._known.set_grants(door, [wanted], commands, operation="grant", subject=str(bridge))

    def revoke_display(self, bridge: InterfaceName, port: int) -> None:
        with self._lock:
            lab = self._lab_of(bridge)
            if lab is not None:
                door, commands = (lab.gateway, port), rules.remove_grants(self._known.grants(lab.gateway, port))
                self._known.set_grants(door, [], commands, operation="revoke", subject=str(bridge))

    def flows(self) -> tuple[Flow, ...]:
        return listing.parse(self._nft.read(_set(BRIDGE, "flows"), operation="flows")).flows

    def wake(self, bridge: InterfaceName, macs: tuple[MacAddress, ...]) -> None:
        lab = self._lab_of(bridge)
        if lab is None:
            raise NetworkError(
                f"The bridge {bridge} is not there.",
                operation="wake",
                subject=str(bridge),
                hint="The engine makes it again soon.",
            )
        magic.send(lab, macs)

    def state(self) -> NetworkState:
        with self._lock, links.rtnetlink("look at", "bridges") as route:
            found = self._list()
            labs = self._noted_labs(route)
            taps = links.names(links.TAP_NAME)
            return NetworkState(
                bridges=links.names(links.BRIDGE_NAME),
                taps=taps,
                filtered=frozenset(tap for tap in taps if str(tap) in found.filtered),
                rules_intact=found.base_intact and found.knows(labs.values()),
            )

    def _mend(self, route: IPRoute, labs: dict[InterfaceName, LabNetwork], found: listing.Listing) -> None:
        """Everything anew in one transaction: labs and ports by their notes, grants as far as they still stand."""
        bridge_names = {index: name for name in labs if (index := links.index_of(name)) is not None}
        ports = [
            port
            for link in links.look_all(route)
            if link.kind == "tun" and link.master in bridge_names
            if (port := memo.parse_port(link.name, bridge_names[link.master], link.note)) is not None
        ]
        if found.chains or ports:
            log.warning("the packet filter is not as it should be; %d ports get their rules anew", len(ports))
        self._nft.run(rules.replace(labs.values(), ports, found.grants), operation="mend", subject=TABLE)

    def _set_port(self, route: IPRoute, port: GuestPort) -> None:
        stale, wanted = self._known.port(port.tap), rules.port_elements(port)
        if stale == wanted:
            return
        try:
            self._known.set_port(port.tap, wanted, rules.set_port(port, stale), operation="plug")
        except NetworkError as error:
            if not is_absent(error):
                raise
            # Somebody flushed the tables: first the base, then the port.
            self._mend(route, self._noted_labs(route), self._list())
            self._known.set_port(port.tap, wanted, rules.set_port(port, self._known.port(port.tap)), operation="plug")

    def _undo_plug(self, tap: InterfaceName) -> None:
        try:
            self.unplug(tap)
        except LabVirtError:
            log.exception("%s: the failed plug could not be undone; the port is closed", tap)

    def _noted_labs(self, route: IPRoute) -> dict[InterfaceName, LabNetwork]:
        found = (links.look(route, name) for name in sorted(links.names(links.BRIDGE_NAME)))
        labs = (memo.parse_lab(link.name, link.note) for link in found if link is not None)
        return {lab.bridge: lab for lab in labs if lab is not None}

    def _lab_of(self, bridge: InterfaceName) -> LabNetwork | None:
        with links.rtnetlink("look at", bridge) as route:
            link = links.look(route, bridge)
        return None if link is None else memo.parse_lab(bridge, link.note)

    def _list(self) -> listing.Listing:
        tables = [{"table": {"family": family, "name": TABLE}} for family in FAMILIES]
        return listing.parse(self._nft.read(*tables, operation="list"))


def _set(family: str, name: str) -> dict[str, object]:
    return {"set": {"family": family, "table": TABLE, "name": name}}
