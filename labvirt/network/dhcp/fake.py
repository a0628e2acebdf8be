# SPDX-License-Identifier: MIT
"""FakeDhcp keeps contracts.dhcp.DhcpServer, and FakeLookup NameLookup, without any right: servers that are only remembered.

`ask` plays a client. With `eager` every known host asks again whenever somebody looks, so a lab without machines looks alive.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from labvirt.contracts.clock import Clock
from labvirt.contracts.dhcp import DhcpLab
from labvirt.domain.addresses import MacAddress
from labvirt.domain.lease import Lease
from labvirt.domain.names import check_name
from labvirt.errors import DhcpError, DnsError
from labvirt.network.dhcp import dnsmasq_conf
from labvirt.system import files


class FakeDhcp:
    """`file` is the memory: another FakeDhcp with the same file sees the same servers and leases."""

    def __init__(self, file: Path, clock: Clock, *, eager: bool = False) -> None:
        self._file = file
        self._clock = clock
        self._eager = eager
        self._lock = threading.RLock()
        self._known: tuple[tuple[int, int, int], dict[str, Any]] | None = None

    def apply(self, lab: DhcpLab) -> None:
        check_name(lab.lab, "lab")
        for render in (dnsmasq_conf.render_config, dnsmasq_conf.render_hosts, dnsmasq_conf.render_names):
            render(lab)  # refuses what the real one refuses
        with self._lock:
            memory = self._load()
            memory["labs"][lab.lab] = _remembered(lab)
            if self._eager:
                for host in lab.hosts:
                    self._give(memory, lab.lab, host.mac)
            self._save(memory)

    def leases(self, lab: str) -> tuple[Lease, ...]:
        check_name(lab, "lab")
        memory = self._glance()
        seconds = memory["labs"].get(lab, {}).get("lease_seconds", 0)
        now = self._clock.now().timestamp()
        return tuple(
            Lease(
                lab=lab,
                mac=MacAddress.parse(mac),
                address=IPv4Address(one["address"]),
                name=one["name"],
                expires=datetime.fromtimestamp(now + seconds if self._eager and one["name"] else one["expires"], UTC),
            )
            for mac, one in sorted(memory["leases"].get(lab, {}).items())
        )

    def serving(self) -> frozenset[str]:
        return frozenset(self._glance()["labs"])

    def stop(self, lab: str) -> None:
        with self._lock:
            memory = self._load()
            memory["labs"].pop(lab, None)
            self._save(memory)

    def ask(self, lab: str, mac: MacAddress) -> Lease | None:
        """A client with this MAC asks: it gets its address, a stranger one of the quarantine; None when nothing is left,
        and where others give the addresses.

        Raises DhcpError when nobody serves the lab.
        """
        with self._lock:
            memory = self._load()
            if lab not in memory["labs"]:
                raise DhcpError(f"No DHCP server serves {lab}.", operation="ask", subject=lab, hint="labvirt verify")
            if not self._give(memory, lab, mac):
                return None
            self._save(memory)
        return next(lease for lease in self.leases(lab) if lease.mac == mac)

    def _give(self, memory: dict[str, Any], lab: str, mac: MacAddress) -> bool:
        """Note the lease that this client gets; False when nothing is left."""
        served, given = memory["labs"][lab], memory["leases"].setdefault(lab, {})
        if served.get("mode", "own") != "own":
            return False
        known = next((host for host in served["hosts"] if host["mac"] == str(mac)), None)
        now = self._clock.now().timestamp()
        if known is not None:
            given[str(mac)] = {"address": known["address"], "name": known["name"], "expires": now + served["lease_seconds"]}
            return True
        free = self._free(served, given, str(mac), now)
        if free is None:
            return False
        given[str(mac)] = {"address": free, "name": None, "expires": now + served["quarantine_lease_seconds"]}
        return True

    def hosts(self, gateway: IPv4Address) -> dict[str, IPv4Address] | None:
        """The names that the server on this gateway knows, short and full; None when nobody serves there."""
        for served in self._glance()["labs"].values():
            if served["gateway"] == str(gateway):
                pairs = [(host["name"], IPv4Address(host["address"])) for host in served["hosts"]]
                return dict(pairs) | {f"{name}.{served['domain']}": address for name, address in pairs}
        return None

    @staticmethod
    def _free(served: dict[str, Any], given: dict[str, Any], mac: str, now: float) -> str | None:
        first, last = (IPv4Address(end) for end in served["quarantine"])
        span = [str(IPv4Address(number)) for number in range(int(first), int(last) + 1)]
        if mac in given and given[mac]["address"] in span:
            return str(given[mac]["address"])
        taken = {one["address"] for one in given.values() if one["expires"] > now}
        return next((address for address in span if address not in taken), None)

    def _glance(self) -> dict[str, Any]:
        """The memory, for who changes nothing: read again only when another file is there (each writing makes a new one)."""
        try:
            found = self._file.stat()
        except OSError:
            return self._load()
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = self._known
        if known is None or known[0] != mark:
            known = self._known = (mark, self._load())
        return known[1]

    def _load(self) -> dict[str, Any]:
        try:
            return {"labs": {}, "leases": {}, **json.loads(self._file.read_bytes())}
        except FileNotFoundError:
            return {"labs": {}, "leases": {}}
        except (OSError, ValueError) as error:
            raise DhcpError(
                f"The fake DHCP server's memory {self._file} cannot be read.",
                operation="read",
                subject=str(self._file),
                hint="Remove that file.",
            ) from error

    def _save(self, memory: dict[str, Any]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(self._file, json.dumps(memory))
        except OSError as error:
            raise DhcpError(
                f"The fake DHCP server's memory {self._file} cannot be written: {error.strerror}.",
                operation="write",
                subject=str(self._file),
                hint="Look at space and rights of the state folder.",
            ) from error


class FakeLookup:
    """Says what the servers of a FakeDhcp would say."""

    def __init__(self, dhcp: FakeDhcp) -> None:
        self._dhcp = dhcp

    def resolve(self, name: str, server: IPv4Address) -> tuple[IPv4Address, ...]:
        names = self._dhcp.hosts(server)
        if names is None:
            raise DnsError(
                f"The DNS server {server} does not answer a question for {name}.",
                operation="resolve",
                subject=name,
                hint="Is the lab's server running? labvirt verify",
            )
        found = names.get(name.lower().removesuffix("."))
        return () if found is None else (found,)


def _remembered(lab: DhcpLab) -> dict[str, Any]:
    return {
        "gateway": str(lab.gateway),
        "domain": lab.domain,
        "hosts": [{"mac": str(host.mac), "address": str(host.address), "name": host.name} for host in lab.hosts],
        "quarantine": [str(end) for end in lab.quarantine],
        "lease_seconds": lab.lease_seconds,
        "quarantine_lease_seconds": lab.quarantine_lease_seconds,
        "mode": str(lab.mode),
    }
