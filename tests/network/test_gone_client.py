# SPDX-License-Identifier: MIT
"""A PC is switched off while it fetches its kiosk: no FIN comes, ever. The web process lets go of that connection, and of no other."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from labvirt.disks import boot_folder
from tests.fakes import kiosk
from tests.network import namespace
from tests.network.namespace import Namespace

pytestmark = pytest.mark.real

SERVER = "10.9.0.1"
GONE, SLOW = "10.9.0.2", "10.9.0.3"
IMAGE = bytes(range(256)) * (1 << 18)
"""64 MiB: more than all buffers between the two hold."""
PATIENCE_SECONDS = 240.0
"""The kernel alone would keep such a connection for about a quarter of an hour (tcp(7), tcp_retries2)."""


class Pc:
    """A client in a namespace of its own, in the middle of the kiosk's image."""

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.machine = Namespace()
        namespace.join(self.machine, "wire", f"pc{address[-1]}", address=f"{address}/24")
        with self.machine.entered():
            self.line = socket.socket()
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.line.settimeout(60)
        self.line.connect((SERVER, port))
        self.line.sendall(b"GET /boot/kiosk.squashfs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.stream = self.line.makefile("rb")
        while self.stream.readline() not in (b"\r\n", b""):
            pass
        self.received = b""
        self.read(1 << 16)

    def read(self, size: int) -> None:
        self.received += self.stream.read(size)

    def close(self) -> None:
        self.stream.close()
        self.line.close()
        self.machine.close()


@pytest.fixture
def port(own_network: Namespace, tmp_path: Path) -> Iterator[int]:
    """A web process with a kiosk, on a wire."""
    with IPRoute() as route:
        route.link("add", ifname="wire", kind="bridge")
        index = route.link_lookup(ifname="wire")[0]
        route.addr("add", index=index, address=SERVER, prefixlen=24)
        route.link("set", index=index, state="up")
    boot_folder.install(kiosk.make(tmp_path / "made", {"kiosk.squashfs": IMAGE}), tmp_path / "site" / "kiosk")
    program = Path(__file__).resolve().parents[1] / "web" / "lab.py"
    argv = [sys.executable, str(program), str(tmp_path / "site"), "1", "full", SERVER]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as web:
        try:
            assert web.stdout is not None
            yield int(web.stdout.readline().split()[0].rpartition(":")[2])
        finally:
            web.kill()


def connections(address: str) -> list[str]:
    """What the server's kernel has of it, in whatever state."""
    told = subprocess.run(["ss", "-H", "-t", "-n", "-a", "dst", address], check=True, capture_output=True, text=True)
    return told.stdout.splitlines()


def test_a_client_that_is_gone_is_let_go_and_one_that_is_slow_is_served(port: int) -> None:
    gone, slow = Pc(GONE, port), Pc(SLOW, port)
    try:
        assert len(connections(GONE)) == len(connections(SLOW)) == 1
        rules = f"""table ip off {{
            chain i {{ type filter hook input priority 0; ip saddr {GONE} drop; }}
            chain o {{ type filter hook output priority 0; ip daddr {GONE} drop; }}
        }}"""
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while connections(GONE):
            assert time.monotonic() < deadline, connections(GONE)
            slow.read(1 << 14)
            time.sleep(0.5)
        assert len(connections(SLOW)) == 1
        assert len(slow.received) < len(IMAGE) // 2  # it was slow indeed, and is still in the middle
        slow.read(len(IMAGE))
        assert slow.received == IMAGE
    finally:
        gone.close()
        slow.close()
