# SPDX-License-Identifier: MIT
"""How dnsmasq tells firmware what to boot: lines of its settings (dnsmasq(8)), for any server and for one that gives no addresses. PURE."""

from __future__ import annotations

from labvirt.contracts.dhcp import DhcpLab, NetworkBoot
from labvirt.network.dhcp import netboot


def firmware(boot: NetworkBoot, prefix: str = "") -> list[str]:
    """Machines are known by what their firmware says (option 93), and guests by their MAC. Tags are made of `prefix`."""
    octets = ":".join(f"{octet:02x}" for octet in netboot.guest_octets(boot))
    lines = [f"dhcp-mac=set:{prefix}guest,{octets}:*:*:*"]
    for offer in netboot.offers(boot):
        lines += [f"dhcp-match=set:{prefix}{offer.name},option:client-arch,{number}" for number in offer.architectures]
    return lines


def offered(lab: DhcpLab, boot: NetworkBoot, prefix: str = "") -> list[str]:
    """Of a server that gives addresses too: the file and who gives it by TFTP, for everybody but guests."""
    lines = []
    for offer in netboot.offers(boot):
        tags = f"tag:{prefix}{offer.name},tag:!{prefix}guest"
        lines.append(f"dhcp-boot={tags},{offer.file}" if offer.by_http else f"dhcp-boot={tags},{offer.file},,{lab.gateway}")
        if offer.by_http:
            lines.append(f"dhcp-option-force={tags},option:vendor-class,{netboot.HTTP_CLIENT}")
    return lines


def beside(lab: DhcpLab, boot: NetworkBoot) -> list[str]:
    """Of a server that gives no addresses (proxyDHCP): it answers firmware only, and guests never."""
    lines = [
        f"dhcp-range={lab.network.network_address},proxy,{lab.network.netmask}",
        *firmware(boot),
        "dhcp-ignore=tag:guest",
        "# Firmware names itself by a vendor class; one that boots by HTTP has its own.",
        f"dhcp-pxe-vendor=PXEClient,{netboot.HTTP_CLIENT}",
    ]
    for offer in netboot.offers(boot):
        if offer.by_http:
            lines.append(f"dhcp-boot=tag:{offer.name},{offer.file}")
            continue
        lines.append(f"dhcp-boot=tag:{offer.name},{offer.file},,{lab.gateway}")
        lines += [f'pxe-service=tag:{offer.name},{number},"LabVirt",{offer.file},{lab.gateway}' for number in offer.architectures]
    return lines
