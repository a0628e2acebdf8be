# SPDX-License-Identifier: MIT
"""A guest's TAP: made closed, noted, joined to its bridge isolated, then up; and removed. Filters are not known here."""

from __future__ import annotations

from pyroute2 import IPRoute

from labvirt.contracts.network import GuestPort
from labvirt.errors import NetworkError
from labvirt.network import links, memo

_NTF_MASTER = 0x04
_NUD_NOARP = 0x40
"""linux/neighbour.h: an entry of the bridge (not of the card), static, not learned."""


def ensure(route: IPRoute, port: GuestPort, bridge_index: int) -> None:
    """The TAP is there, persistent and openable by its owner, isolated on the bridge, known by its one MAC, and up.

    Its filters must stand before. Raises NetlinkError; NetworkError when something else has its name.
    """
    note = memo.render_port(port)
    found = links.look(route, port.tap)
    if found is not None and found.kind != "tun":
        raise NetworkError(
            f"There is an interface {port.tap} that is no TAP.",
            operation="plug",
            subject=str(port.tap),
            hint=f"Remove it: ip link del {port.tap}",
        )
    if found is not None and found.note != note:  # another guest's, or half made: its owner may be wrong
        links.remove(route, port.tap, "tun")
        found = None
    if found is None:
        # PRIVILEGE: CAP_NET_ADMIN and /dev/net/tun. The name is an InterfaceName, the owner an unprivileged user's number.
        route.link("add", ifname=str(port.tap), kind="tuntap", mode="tap", uid=port.owner_uid)
        found = links.look(route, port.tap)
    if found is None:
        raise NetworkError(f"The TAP {port.tap} vanished while it was made.", operation="plug", subject=str(port.tap))
    if found.master != bridge_index:
        if found.up:
            route.link("set", index=found.index, state="down")
        route.link("set", index=found.index, master=bridge_index)
    # Isolated: no frame from guest to guest. No learning and one static entry: nobody's MAC can be stolen. No flooding of
    # frames for unknown MACs: a guest does not see what is not meant for it. Locked (Linux 5.18 and later, ignored before):
    # frames from another MAC are dropped even while somebody else's tool has flushed our rules.
    route.brport("set", index=found.index, isolated=1, learning=0, unicast_flood=0, locked=1)
    route.fdb("replace", ifindex=found.index, lladdr=str(port.mac), flags=_NTF_MASTER, state=_NUD_NOARP)
    if found.note != note:
        route.link("set", index=found.index, ifalias=note)
    route.link("set", index=found.index, state="up")
