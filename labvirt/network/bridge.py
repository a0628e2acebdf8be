# SPDX-License-Identifier: MIT
"""A lab's bridge: made, mended, removed. Filters are not known here."""

from __future__ import annotations

from pyroute2 import IPRoute

from labvirt.contracts.network import LabNetwork
from labvirt.domain.addresses import MacAddress
from labvirt.errors import NetworkError
from labvirt.network import links, memo

_OPTIONS = {"br_stp_state": 0, "br_forward_delay": 0, "br_mcast_snooping": 0}
"""No spanning tree and no delay: a port forwards at once, the first DHCP question is not lost. No snooping: nobody asks
for group memberships here, so it would only lose frames."""


def mac_of(lab: LabNetwork) -> MacAddress:
    """The bridge's own MAC: fixed, else it would follow its ports' and terminals would lose their gateway.

    Locally administered, '\\nLV' and the lower half of the gateway's address; never equal to a guest's (their site prefix
    begins with another octet by default).
    """
    return MacAddress(0x0A4C56 << 24 | int(lab.gateway) & 0xFFFFFF)


def ensure(route: IPRoute, lab: LabNetwork) -> None:
    """The bridge is there, noted, has exactly the gateway's address, and is up. Its ports are not touched.

    Raises NetlinkError, and NetworkError when something else has its name.
    """
    found = links.look(route, lab.bridge)
    if found is None:
        # PRIVILEGE: CAP_NET_ADMIN. The name is an InterfaceName of our pattern, the addresses are typed.
        route.link("add", ifname=str(lab.bridge), kind="bridge", address=str(mac_of(lab)), **_OPTIONS)
        found = links.look(route, lab.bridge)
    if found is None or found.kind != "bridge":
        raise NetworkError(
            f"There is an interface {lab.bridge} that is no bridge.",
            operation="ensure",
            subject=str(lab.bridge),
            hint=f"Remove it: ip link del {lab.bridge}",
        )
    note = memo.render_lab(lab)
    if found.note != note:
        route.link("set", index=found.index, ifalias=note)
    if found.address != str(mac_of(lab)):
        route.link("set", index=found.index, address=str(mac_of(lab)))
    _ensure_options(route, found)
    _ensure_address(route, found, lab)
    if not found.up:
        route.link("set", index=found.index, state="up")


def _ensure_options(route: IPRoute, bridge: links.Link) -> None:
    data = route.get_links(bridge.index)[0].get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    now = {key: data.get_attr(f"IFLA_{key.upper()}") for key in _OPTIONS}
    if any(now[key] != value for key, value in _OPTIONS.items()):
        route.link("set", index=bridge.index, kind="bridge", **_OPTIONS)


def _ensure_address(route: IPRoute, bridge: links.Link, lab: LabNetwork) -> None:
    wanted = (str(lab.gateway), lab.network.prefixlen)
    have = {
        (message.get_attr("IFA_ADDRESS"), message["prefixlen"])
        for message in route.get_addr(index=bridge.index, family=2)  # AF_INET
    }
    if wanted not in have:
        route.addr("add", index=bridge.index, address=wanted[0], prefixlen=wanted[1])
    for address, length in have - {wanted}:
        route.addr("del", index=bridge.index, address=address, prefixlen=length)
