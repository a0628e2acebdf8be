# SPDX-License-Identifier: MIT
"""The kiosk as our image starts it, the site's authority pinned, a real remote-viewer, real SPICE displays: whose is shown."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from labvirt.network.authority import FileAuthority
from tests.kiosk.conftest import KIOSK, SECRET, Controller, Kiosk, until
from tests.kiosk.screen import open_screen

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not all(map(shutil.which, ("remote-viewer", "Xvfb", "qemu-system-x86_64"))),
        reason="needs Debian's virt-viewer, xvfb and qemu-system-x86 with qemu-system-modules-spice",
    ),
]

GUEST = "lab1-03"
HOST = IPv4Address("127.0.0.1")
PINNED = """
import pathlib, sys
sys.path.insert(0, sys.argv.pop(1))
from labvirt_kiosk import program
program.AUTHORITY = pathlib.Path(sys.argv.pop(1))
raise SystemExit(program.main())
"""
"""labvirt-kiosk, with a file of ours in the place of /etc/labvirt/ca.pem."""


class Display:
    """The SPICE display of a machine that stands still, with a certificate by this authority; its secret is SECRET."""

    def __init__(self, authority: FileAuthority, folder: Path) -> None:
        authority.issue(folder, name=GUEST, address=HOST, uid=None)
        with socket.create_server((str(HOST), 0)) as free:
            self.port = int(free.getsockname()[1])
        self._socket = folder / "qmp"
        spice = f"addr={HOST},tls-port={self.port},x509-dir={folder},password-secret=secret"
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg", "-m", "16", "-nodefaults", "-vga", "std", "-display", "none", "-S"),
                *("-object", f"secret,id=secret,data={SECRET}", "-spice", spice),
                *("-qmp", f"unix:{self._socket},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
        )
        self._monitor = socket.socket(socket.AF_UNIX)
        until(self._is_there, "QEMU's monitor")
        self._lines = self._monitor.makefile("rb")
        self.heard: list[str] = []
        self._ask("qmp_capabilities")

    def _is_there(self) -> bool:
        assert self._process.poll() is None, "QEMU has ended"
        with contextlib.suppress(OSError):
            self._monitor.connect(str(self._socket))
            return True
        return False

    def _ask(self, command: str) -> Any:
        self._monitor.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while True:
            told = json.loads(self._lines.readline())
            if "event" in told:
                self.heard.append(told["event"])
            if "return" in told:
                return told["return"]

    def viewers(self) -> list[dict[str, Any]]:
        """The channels of viewers that were let in."""
        return list(self._ask("query-spice").get("channels", []))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()
        self._monitor.close()


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Callable[[FileAuthority], Display]]:
    started: list[Display] = []

    def start(authority: FileAuthority) -> Display:
        started.append(Display(authority, tmp_path / f"display{len(started)}"))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def kiosk(controller: Controller, tmp_path: Path) -> Iterator[Callable[[str], Kiosk]]:
    """Starts one that was built for the site with this certificate, on a screen of its own."""
    with contextlib.ExitStack() as stack:
        screen = stack.enter_context(open_screen(800, 600))

        def start(pinned: str) -> Kiosk:
            (tmp_path / "ca.pem").write_text(pinned)
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "LANG": "C.UTF-8",
                "DISPLAY": screen.display,
                "LABVIRT_NO_FACE": "1",
            }
            argv = [sys.executable, "-c", PINNED, str(KIOSK), str(tmp_path / "ca.pem")]
            made = Kiosk(tmp_path, controller.url, environment, argv)
            stack.callback(made.process.wait)
            stack.callback(made.process.kill)
            return made

        yield start


def shows(controller: Controller, display: Display, ca_pem: str) -> None:
    """The guest is ready, and the controller's file is as labvirt/web/terminal/render.py writes it."""
    lines = ["[virt-viewer]", "type=spice", f"host={HOST}", f"tls-port={display.port}", f"host-subject=CN={GUEST}"]
    lines += ["ca=" + ca_pem.strip().replace("\n", "\\n") + "\\n", f"title={GUEST}", "enable-usbredir=0"]
    controller.vv = "\n".join(lines) + "\n"
    controller.ready(port=display.port, arguments=["--kiosk", "--kiosk-quit=on-disconnect", "%VV%"])
    controller.ticket[1]["port"] = display.port


def test_the_sites_display_is_shown_and_that_of_another_authority_is_not(
    controller: Controller, display: Callable[[FileAuthority], Display], kiosk: Callable[[str], Kiosk], tmp_path: Path
) -> None:
    site, other = FileAuthority(tmp_path / "site"), FileAuthority(tmp_path / "other")
    false, true = display(other), display(site)
    shows(controller, false, site.ca_pem())
    terminal = kiosk(site.ca_pem())
    # It is tried, is not let on, and the kiosk says so and tries again.
    terminal.until("viewing")
    terminal.until("retrying", "remote-viewer ended")
    until(lambda: terminal.status()["viewer_starts"] >= 2, "another try")
    assert false.viewers() == []
    assert "SPICE_INITIALIZED" not in false.heard
    assert "certificate" in (terminal.state / "viewer.log").read_text()
    # Control: the same terminal, the same file but for the port, and the display that has the site's certificate.
    shows(controller, true, site.ca_pem())
    channels = until(true.viewers, "the viewer at the site's display")
    assert all(channel["tls"] for channel in channels)
    until(lambda: terminal.status()["viewer_connected_at"], "the connection in the kiosk's status")
    assert false.viewers() == []


def test_a_controller_that_names_another_authority_is_not_believed(
    controller: Controller, display: Callable[[FileAuthority], Display], kiosk: Callable[[str], Kiosk], tmp_path: Path
) -> None:
    """File and display agree with each other, and not with what this terminal was built for."""
    site, other = FileAuthority(tmp_path / "site"), FileAuthority(tmp_path / "other")
    false = display(other)
    shows(controller, false, other.ca_pem())
    terminal = kiosk(site.ca_pem())
    terminal.until("refused", "a certificate that this terminal does not know")
    assert terminal.status()["viewer_starts"] == 0
    assert false.viewers() == []
    terminal.end()
    # Control: a terminal that was built for that authority takes it.
    kiosk(other.ca_pem())
    until(false.viewers, "the viewer at the display that both vouch for")
