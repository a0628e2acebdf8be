# SPDX-License-Identifier: MIT
"""A PC that is adopted: the image's own scripts and busybox's udhcpc on one side, a real dnsmasq on the other, the kiosk's wish between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyroute2 import IPRoute

from labvirt.contracts.dhcp import DhcpHost, DhcpLab
from labvirt.domain.addresses import MacAddress
from labvirt.network.dhcp.driver import Dnsmasq
from tests.network import wire
from tests.network.namespace import Namespace

pytestmark = [pytest.mark.real, pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")]

KIOSK = Path(__file__).resolve().parents[2] / "kiosk"
MAC = MacAddress.parse("00:1a:2b:00:00:07")
OWN = IPv4Address("10.77.0.71")


def lab(*hosts: DhcpHost) -> DhcpLab:
    network = wire.lab_a()
    return DhcpLab(
        lab=network.lab,
        bridge=network.bridge,
        gateway=network.gateway,
        network=network.network,
        domain="labvirt.internal",
        hosts=hosts,
        quarantine=network.quarantine,
    )


class Terminal:
    """The two scripts of the running image, which init keeps alive, over a folder in the place of /run/labvirt."""

    def __init__(self, outside: Namespace, folder: Path) -> None:
        self.outside = outside
        self.pipe = folder / "renew"
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        folder.mkdir()
        os.mkfifo(self.pipe)
        (folder / "environment").write_text("LABVIRT_INTERFACE=eth0\n")
        for name, source in (
            ("lease", "initrd/lib/lease"),
            ("keeper", "root/usr/lib/labvirt/lease-keeper"),
            ("asker", "root/usr/lib/labvirt/renew"),
        ):
            text = (KIOSK / "image" / source).read_text()
            # names and resolv.conf are this machine's own, and no business of a test
            text = text.replace("/run/labvirt", str(folder)).replace("/usr/lib/labvirt/lease", str(folder / "lease"))
            text = text.replace("/etc/resolv.conf", str(folder / "etc-resolv.conf")).replace('hostname "${hostname%%.*}"', "true")
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        with outside.entered(), IPRoute() as route:
            route.link("set", index=route.link_lookup(ifname="eth0")[0], address=str(MAC))

    def start(self) -> None:
        """As the initial file system leaves it: with an address, and with somebody who keeps it."""
        script = str(self._folder / "lease")
        busybox = shutil.which("busybox") or "busybox"
        with self.outside.entered():
            subprocess.run([busybox, "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "9", "-T", "1", "-s", script], check=True, timeout=60)
            self._running.append(subprocess.Popen(["sh", str(self._folder / "keeper")], start_new_session=True))
            again = f"while :; do sh {self._folder}/asker; done"
            self._running.append(subprocess.Popen(["sh", "-c", again], start_new_session=True))

    def has(self, address: str) -> bool:
        with self.outside.entered(), IPRoute() as route:
            return address in [dict(one["attrs"])["IFA_ADDRESS"] for one in route.get_addr(label="eth0")]

    def renewal(self, **more: Any) -> Any:
        sys.path.insert(0, str(KIOSK))
        from labvirt_kiosk import identity
        from labvirt_kiosk.renewal import Renewal

        def address() -> str | None:
            with self.outside.entered():
                return identity.address_of("eth0")

        return SimpleNamespace(address=address, it=Renewal(self.pipe, address, **more))

    def close(self) -> None:
        for each in self._running:
            os.killpg(each.pid, signal.SIGKILL)
            each.wait()


@pytest.fixture
def terminal(outside: Namespace, tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(outside, tmp_path / "terminal")
    try:
        yield made
    finally:
        made.close()


def test_an_adopted_terminal_has_its_own_address_when_it_wishes_it(terminal: Terminal, state: Path) -> None:
    dhcp = Dnsmasq(state / "networks")
    dhcp.apply(lab())
    terminal.start()
    renewal = terminal.renewal()
    stranger = renewal.address()
    assert wire.lab_a().quarantine[0] <= IPv4Address(stranger) <= wire.lab_a().quarantine[1]
    # Control: who wishes it before it is adopted keeps what it has, and so keeps its connection to the controller.
    until_keeper_listens(terminal)
    assert renewal.it.renew() is False
    assert renewal.address() == stranger
    dhcp.apply(lab(DhcpHost(mac=MAC, address=OWN, name="lab-a-t07")))
    renewed = any(renewal.it.renew() for _ in range(6))  # the server hears of the new host by a signal, which nobody waits for
    assert renewed
    assert renewal.address() == str(OWN)
    assert not terminal.has(stranger)
    (lease,) = dhcp.leases("lab-a")
    assert (lease.mac, lease.address, lease.name) == (MAC, OWN, "lab-a-t07")
    assert renewal.it.rest(str(OWN)) is None


def test_a_wish_that_nobody_answers_takes_no_address_away(terminal: Terminal, state: Path) -> None:
    dhcp = Dnsmasq(state / "networks")
    dhcp.apply(lab(DhcpHost(mac=MAC, address=OWN, name="lab-a-t07")))
    terminal.start()
    until_keeper_listens(terminal)
    dhcp.stop("lab-a")
    renewal = terminal.renewal()
    assert renewal.address() == str(OWN)
    assert renewal.it.renew() is False
    assert terminal.has(str(OWN))


def until_keeper_listens(terminal: Terminal) -> None:
    """The lease is the keeper's own: it was given once more after the start's."""
    log = terminal.pipe.parent / "dhcp.log"
    for _ in range(600):
        if log.exists() and "obtained" in log.read_text():
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text() if log.exists() else "no log")
