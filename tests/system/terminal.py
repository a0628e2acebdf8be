# SPDX-License-Identifier: MIT
"""One thin client of the system tests: a network namespace with a MAC of its own on the lab's bridge, and the three requests."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.system import netns

GATEWAY = "10.78.0.1"
PORT = 8080

DHCP_SCRIPT = """#!/bin/sh
case "$1" in
  deconfig) ip addr flush dev "$interface"; ip link set "$interface" up ;;
  bound|renew)
    ip addr replace "$ip/$mask" dev "$interface"
    [ -n "$router" ] && ip route replace default via "${router%% *}" ;;
esac
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An HTTP answer. `told` is the body as key=value lines or JSON."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        text = self.body.decode()
        if self.headers.get("content-type", "").startswith("application/json"):
            return dict(json.loads(text))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


class Terminal:
    """Made, plugged in, then given its address by the lab's DHCP server (or by hand, for those who cheat)."""

    def __init__(self, name: str, seat: int, mac: str, folder: Path) -> None:
        self.namespace = name
        self.seat = seat
        self.mac = mac
        self._script = folder / "dhcp.sh"

    def plug_in(self, house: str, bridge: str) -> None:
        netns.make(self.namespace)
        near = f"far{self.namespace.rpartition('t')[2]}"
        netns.command("ip", "-n", house, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        netns.command("ip", "-n", self.namespace, "link", "set", "eth0", "address", self.mac)
        netns.command("ip", "-n", house, "link", "set", near, "master", bridge, "up")
        netns.command("ip", "-n", self.namespace, "link", "set", "eth0", "up")

    def lease(self) -> str:
        """The address that DHCP gave."""
        self._script.write_text(DHCP_SCRIPT)
        self._script.chmod(0o700)
        client = ["busybox", "udhcpc", "-n", "-q", "-f", "-i", "eth0", "-t", "60", "-T", "1", "-s", str(self._script)]
        subprocess.run(["ip", "netns", "exec", self.namespace, *client], check=True, capture_output=True, timeout=90)
        return self.address

    def take(self, address: str) -> None:
        """An address nobody gave it."""
        netns.command("ip", "-n", self.namespace, "addr", "flush", "dev", "eth0")
        netns.command("ip", "-n", self.namespace, "addr", "add", f"{address}/24", "dev", "eth0")

    @property
    def address(self) -> str:
        listed = json.loads(netns.command("ip", "-j", "-n", self.namespace, "-4", "addr", "show", "dev", "eth0"))
        return str(listed[0]["addr_info"][0]["local"])

    def connect(self, address: str, port: int, seconds: float = 3.0) -> socket.socket:
        return netns.connect(self.namespace, address, port, seconds)

    def reaches(self, address: str, port: int, seconds: float = 2.0) -> bool:
        try:
            self.connect(address, port, seconds).close()
        except OSError:
            return False
        return True

    def request(self, method: str, path: str, form: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Said:
        """Over a connection of its own. Raises OSError when nobody answers."""
        connection = http.client.HTTPConnection(GATEWAY, PORT, timeout=75)
        connection.sock = self.connect(GATEWAY, PORT, 10.0)
        connection.sock.settimeout(75.0)
        body = urlencode(form).encode() if form is not None else None
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            got = {name.lower(): value for name, value in answer.getheaders()}
            return Said(status=answer.status, headers=got, body=answer.read())
        finally:
            connection.close()

    def ask(self, *, wait: float = 0, format: str = "json", id: str | None = None) -> dict[str, Any]:
        """What it hears to its question; the id is its MAC."""
        query = urlencode({"id": id or self.mac, "format": format, "wait": str(wait)})
        said = self.request("GET", f"/terminals/config?{query}")
        assert said.status == 200, said
        return said.told

    def authority(self) -> str:
        """The controller's CA, from the file for remote-viewer."""
        lines = self.request("GET", f"/terminals/config?id={self.mac}&format=vv&wait=0").body.decode().splitlines()
        return next(line for line in lines if line.startswith("ca=")).removeprefix("ca=").replace("\\n", "\n")

    def ticket(self, *, id: str | None = None) -> Said:
        return self.request("POST", "/terminals/ticket", {"id": id or self.mac, "format": "json"})
