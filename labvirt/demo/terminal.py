# SPDX-License-Identifier: MIT
"""One lab PC of the demo: a network namespace with its own MAC on the lab's bridge, a DHCP client, a screen (Xvfb) and the real kiosk
program with a real viewer. It knows the controller's URL and nothing else."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labvirt.demo.place import Place, make_namespace
from labvirt.errors import HostNotReady
from labvirt.system import process

DISPLAY = ":1"
"""The same for all: the X socket is abstract, so it belongs to the namespace."""
SCREEN = "1024x768x24"

DHCP_SCRIPT = """#!/bin/sh
# udhcpc calls this with what the server said; this PC takes address and router, and leaves the host's resolv.conf alone.
case "$1" in
  deconfig) ip addr flush dev "$interface"; ip link set "$interface" up ;;
  bound|renew)
    ip addr replace "$ip/$mask" dev "$interface"
    [ -n "$router" ] && ip route replace default via "${router%% *}" ;;
esac
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskReport:
    """What the kiosk's status file says; empty fields before it said anything."""

    state: str = "switched on"
    message: str = ""
    viewer_pid: int | None = None
    asked_at: datetime | None = None
    ready_at: datetime | None = None
    viewer_started_at: datetime | None = None


class DemoTerminal:
    """Made, then switched on once the lab's bridge exists; ends with its namespace."""

    def __init__(self, place: Place, seat: int, mac: str, kiosk: Path) -> None:
        self.seat = seat
        self.mac = mac
        self.namespace = place.terminal_namespace(seat)
        self.folder = place.folder / f"terminal-{seat}"
        self._place = place
        self._kiosk = kiosk

    @property
    def status_file(self) -> Path:
        return self.folder / "status.json"

    @property
    def frame_buffer(self) -> Path:
        return self.folder / "screen" / "Xvfb_screen0"

    def plug_in(self, bridge: str) -> None:
        """The namespace has a cable (veth) to the lab's bridge. Raises HostNotReady."""
        make_namespace(self.namespace)
        near = f"lvd{self.seat}"
        for argv in (
            ["ip", "-n", self._place.namespace, "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", self.namespace],
            ["ip", "-n", self.namespace, "link", "set", "eth0", "address", self.mac],
            ["ip", "-n", self._place.namespace, "link", "set", near, "master", bridge, "up"],
            ["ip", "-n", self.namespace, "link", "set", "eth0", "up"],
        ):
            result = process.run(argv, timeout=20)
            if not result.ok:
                raise HostNotReady(f"Terminal {self.seat} cannot be plugged in: {result.last_words}", hint="labvirt doctor")

    def switch_on(self, url: str) -> None:
        """DHCP client, screen and kiosk run; returns at once."""
        for name in ("screen", "kiosk", "home", "run"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        script = self.folder / "dhcp.sh"
        script.write_text(DHCP_SCRIPT)
        script.chmod(0o700)
        self._spawn("dhcp", ["busybox", "udhcpc", "-f", "-i", "eth0", "-s", str(script), "-t", "20", "-T", "1", "-A", "1"])
        self._spawn(
            "xvfb",
            [
                "Xvfb",
                DISPLAY,
                "-screen",
                "0",
                SCREEN,
                "-fbdir",
                str(self.folder / "screen"),
                "-nolisten",
                "tcp",
                "-nolisten",
                "unix",
                "-nolock",
                "-noreset",
            ],
        )
        self._spawn(
            "kiosk",
            [
                sys.executable,
                "-I",
                str(self._kiosk),
                "--no-face",
                "--url",
                url,
                "--interface",
                "eth0",
                "--state",
                str(self.folder / "kiosk"),
                "--status-file",
                str(self.status_file),
            ],
        )

    def report(self) -> KioskReport:
        """What the kiosk said last."""
        try:
            told = json.loads(self.status_file.read_bytes())
        except (OSError, ValueError):
            return KioskReport()
        return KioskReport(
            state=str(told.get("state", "")),
            message=str(told.get("message", "")),
            viewer_pid=told.get("viewer_pid"),
            asked_at=_time(told.get("asked_at")),
            ready_at=_time(told.get("ready_at")),
            viewer_started_at=_time(told.get("viewer_started_at")),
        )

    def _spawn(self, name: str, argv: list[str]) -> None:
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "LANG": "C.UTF-8",
            "DISPLAY": DISPLAY,
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "NO_AT_BRIDGE": "1",
        }
        process.spawn_detached(["ip", "netns", "exec", self.namespace, *argv], log=self.folder / f"{name}.log", env=environment)


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None
