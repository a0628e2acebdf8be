# SPDX-License-Identifier: MIT
"""Settings of a lab for a DHCP server of the campus: the same addresses, and the same files to boot, that our own server would give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labvirt.contracts.dhcp import DhcpForm
from labvirt.contracts.kiosk import BootFolder
from labvirt.domain.lab import DhcpMode, Lab
from labvirt.domain.right import Right
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs
from labvirt.usecases.served_lab import served_lab


@dataclass(frozen=True, slots=True, kw_only=True)
class CampusSettings:
    """`remarks`: what whoever uses this text should know, a sentence each."""

    text: str
    remarks: tuple[str, ...] = ()


@needs(Right.LOOK, lab="name")
def settings(ports: Ports, name: str, form: DhcpForm) -> CampusSettings:
    """What the server needs to know now. How to boot is not in it where our own server tells that (mode PROXY), but in the form
    DNSMASQ_PROXY, which tells nothing else. Changes nothing. Raises NotFound, InvalidInput (nothing to boot),
    DiskError (a kiosk that is damaged), DatabaseError."""
    with ports.database.read() as work:
        lab = work.labs.one(name)
        terminals = work.terminals.of_lab(name)
    assert ports.forms is not None, "only processes that answer people write settings"
    boot = ports.kiosk.current()
    told = boot if lab.dhcp is not DhcpMode.PROXY or form is DhcpForm.DNSMASQ_PROXY else None
    wanted = served_lab(lab, terminals, ports.limits.controller_port, told)
    return CampusSettings(text=ports.forms.render(form, wanted), remarks=tuple(_remarks(lab, form, boot)))


def _remarks(lab: Lab, form: DhcpForm, boot: BootFolder | None) -> Iterator[str]:
    """`form` and mode may fit badly: that is for people to decide, who prepare one while the other still works."""
    if lab.network.servers is None:
        yield f"{lab.network.network} has no address left for a server of the campus: the lab needs a network of /25 or bigger."
    else:
        first, last = lab.network.servers
        yield f"The server (or the relay) must have an address from {first} to {last} in this network: guests hear no other."
    if lab.dhcp is DhcpMode.OWN:
        mode = DhcpMode.PROXY if form is DhcpForm.DNSMASQ_PROXY else DhcpMode.NONE
        yield f"{lab.name} is still served by this controller. When the other server is ready: labvirt lab set {lab.name} --dhcp {mode}"
    if boot is None:
        yield "Nothing is said about booting: there is no kiosk yet. To build it: labvirt kiosk build"
    elif lab.dhcp is DhcpMode.PROXY and form is DhcpForm.DNSMASQ_PROXY:
        yield f"This controller tells terminals of {lab.name} how to boot already; a second one would only repeat it."
    elif lab.dhcp is DhcpMode.PROXY:
        yield "Nothing is said about booting: this controller tells that, beside the server."
