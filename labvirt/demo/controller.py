# SPDX-License-Identifier: MIT
"""The demo's controller: set up and started with the command line that everybody has."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from labvirt.demo.judge import Expected
from labvirt.demo.place import Place
from labvirt.errors import HostNotReady
from labvirt.system import process

LAB = "demo"
NETWORK = "10.77.0.0/24"
GATEWAY = IPv4Address("10.77.0.1")
PORT = 8080
MEMORY_MIB = 192
TERMINAL_MAC_PREFIX = "52:54:00:de:30"
"""The PCs' own MACs: QEMU's prefix, which no guest of ours uses."""


class DemoController:
    """Knows the place and the URL; everything else goes through `labvirt`."""

    def __init__(self, place: Place, hypervisor: str) -> None:
        self._place = place
        self._hypervisor = hypervisor
        self.page: str = ""

    def set_up(self, terminals: int, image: Path) -> None:
        """Site, lab, image, profile and terminals exist. Raises HostNotReady with the refused command's words."""
        self.call("init", "--hypervisor", self._hypervisor)
        self.call("lab", "add", LAB, "--network", NETWORK)
        self.call("image", "import", "tiny", str(image), "--format", "qcow2")
        self.call("profile", "add", "tiny", "--memory", str(MEMORY_MIB), "--disk", "tiny:virtio", "--protocol", "spice")
        for seat in range(1, terminals + 1):
            self.call("terminal", "add", f"pc-{seat:02d}", "--lab", LAB, "--seat", str(seat), "--mac", terminal_mac(seat))

    def start(self) -> None:
        """`labvirt serve` runs in the place's namespace; the page is on 127.0.0.1 of the host. Returns when the engine answers."""
        self.launch()
        deadline = time.monotonic() + 30
        while process.is_alive(self._process):
            try:
                self.call("host", "show", "--engine")
                return
            except HostNotReady:
                if time.monotonic() > deadline:
                    break
                process.wait_end(self._process, 0.2)
        raise HostNotReady(f"The controller did not start: {self._last_words()}", hint="labvirt doctor")

    def launch(self) -> None:
        """`labvirt serve` has been begun; `page` is where it will answer, and connections wait there."""
        page = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        page.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        page.bind(("127.0.0.1", 0))
        page.listen(128)
        host, port = page.getsockname()
        self.page = f"http://{host}:{port}/"
        serve = [*self._labvirt(), "serve", "--listen", f"0.0.0.0:{PORT}", "--hypervisor", self._hypervisor]
        # systemd's socket protocol (sd_listen_fds(3)): the first handed socket is descriptor 3.
        self._process = process.spawn_detached(
            ["ip", "netns", "exec", self._place.namespace, *serve],
            log=self._place.folder / "serve.log",
            descriptors=(page.fileno(),),
            env={**os.environ, "LISTEN_FDS": "1"},
        )
        page.close()

    def sign_in_url(self) -> str:
        """The page with a one-time code behind '#'."""
        code = self.call("code")["code"]
        return f"{self.page}door#{code}"

    def expected(self, seat: int) -> Expected:
        """The seat's guest, computed from lab and seat by `guest explain`."""
        told = self.call("guest", "explain", f"{LAB}-{seat:02d}")
        identity = told["identity"]
        return Expected(
            seat=seat,
            guest=identity["guest"],
            mac=identity["mac"],
            address=IPv4Address(identity["address"]),
            domain=told["domain"],
            gateway=GATEWAY,
        )

    def call(self, *words: str) -> Any:
        """One `labvirt` command; what it printed as JSON. Raises HostNotReady with its error sentence."""
        result = process.run([*self._labvirt(), "--json", *words], timeout=120)
        if not result.ok:
            raise HostNotReady(f"labvirt {' '.join(words[:2])}: {_sentence(result)}", hint="labvirt doctor")
        return json.loads(result.stdout) if result.stdout.strip() else None

    def _labvirt(self) -> list[str]:
        return [sys.executable, "-m", "labvirt", "--state", str(self._place.state)]

    def _last_words(self) -> str:
        try:
            lines = (self._place.folder / "serve.log").read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return lines[-1][:300] if lines else "it said nothing"


def terminal_mac(seat: int) -> str:
    return f"{TERMINAL_MAC_PREFIX}:{seat:02x}"


def _sentence(result: process.Result) -> str:
    try:
        told = json.loads(result.stdout)
        return str(told["error"]["sentence"])
    except (ValueError, KeyError, TypeError):
        return result.last_words
