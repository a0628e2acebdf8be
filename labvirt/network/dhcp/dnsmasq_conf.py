# SPDX-License-Identifier: MIT
"""What dnsmasq is given for one lab: its configuration, the known hosts, and the names (dnsmasq(8)). PURE.

No path occurs in it: paths are arguments of the server (server.py), so the same text serves on any machine.
"""

from __future__ import annotations

from labvirt.contracts.dhcp import DhcpLab, NetworkBoot
from labvirt.domain.lab import DhcpMode
from labvirt.network.dhcp import dnsmasq_boot, dnsmasq_proxy_conf
from labvirt.network.dhcp.names import checked, domain, hosts
from labvirt.network.dhcp.netboot import TFTP_PORTS


def render_config(lab: DhcpLab) -> str:
    """dnsmasq.conf of the lab. Changes of it need a restart of the server. Raises InvalidInput for a bad name."""
    if lab.mode is not DhcpMode.OWN:
        return dnsmasq_proxy_conf.render_config(lab, _reverse(lab))
    network, mask = lab.network.network_address, lab.network.netmask
    first, last = lab.quarantine
    name = domain(lab)
    return f"""\
# Lab {checked(lab.lab, "lab")}: written by LabVirt. Changes made here are overwritten.

# Only on this lab's bridge, also when it comes later or again.
interface={lab.bridge}
except-interface=lo
bind-dynamic

# Names of this lab only. Nothing is asked of other servers, nothing is read from this machine.
no-resolv
no-hosts
domain-needed
local=/{name}/
local=/{_reverse(lab)}/
domain={name},{lab.network}

# The only DHCP server of this network: it refuses what it does not know at once (RFC 2131, 4.3.2).
dhcp-authoritative
# Addresses are computed, each is one host's for ever: no need to probe, which costs seconds.
no-ping
dhcp-lease-max={lab.network.num_addresses}
dhcp-option=option:router,{lab.gateway}
dhcp-option=option:dns-server,{lab.gateway}

# Known hosts get their own address only; strangers a short lease in quarantine, and no name.
dhcp-range={network},static,{mask},{lab.lease_seconds}
dhcp-range=tag:!known,{first},{last},{mask},{lab.quarantine_lease_seconds}
dhcp-ignore-names=tag:!known
{_boot(lab, lab.boot) if lab.boot else ""}
quiet-dhcp
"""


def _boot(lab: DhcpLab, boot: NetworkBoot) -> str:
    """The lines for machines that boot from the network. The folder is not said here: it is the server's --tftp-root."""
    first, last = TFTP_PORTS
    lines = [
        "",
        "# Firmware hears by its architecture (RFC 4578, 2.1) what to fetch; guests start from their disks and are told nothing.",
        *dnsmasq_boot.firmware(boot),
        *dnsmasq_boot.offered(lab, boot),
        "enable-tftp",
        f"tftp-max={last - first + 1}",
        f"tftp-port-range={first},{last}",
        "",
    ]
    return "\n".join(lines)


def render_hosts(lab: DhcpLab) -> str:
    """The file for --dhcp-hostsfile: who gets which address and name. Read again on SIGHUP."""
    return "".join(f"{host.mac},{host.address},{host.name},{lab.lease_seconds}\n" for host in hosts(lab))


def render_names(lab: DhcpLab) -> str:
    """The file for --addn-hosts: names resolve, forwards and backwards, before any lease. Read again on SIGHUP."""
    return "".join(f"{host.address} {host.name}.{lab.domain} {host.name}\n" for host in hosts(lab))


def _reverse(lab: DhcpLab) -> str:
    """The smallest reverse zone on an octet boundary that holds the network (RFC 1035, 3.5)."""
    octets = str(lab.network.network_address).split(".")[: lab.network.prefixlen // 8]
    return ".".join([*reversed(octets), "in-addr", "arpa"])
