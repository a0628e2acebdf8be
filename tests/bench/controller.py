# SPDX-License-Identifier: MIT
"""A whole LabVirt to measure: `labvirt serve` as the demo starts it. Only setting up and clearing away go past its HTTP door."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from labvirt import bootstrap
from labvirt.demo.controller import LAB, MEMORY_MIB, DemoController, terminal_mac
from labvirt.demo.place import Place
from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import Guest, GuestState, StopHow
from labvirt.errors import HostNotReady
from labvirt.system import machine, process
from labvirt.usecases import labs, power, terminals
from labvirt.usecases.ports import Ports

__all__ = ["LAB", "MEMORY_MIB", "BenchController", "Controller", "terminal_mac"]

SEATS_OF_BIG_LAB = 250
"""Of the 255 that a /22 has room for."""
SMALL_LAB = 8


class BenchController(DemoController):
    """The demo's controller with more terminals."""

    def __init__(self, place: Place, hypervisor: str) -> None:
        super().__init__(place, hypervisor)
        self.state = place.state

    def set_up_many(self, terminal_count: int, image: Path, *, lab_count: int = 1) -> tuple[str, ...]:
        """Big labs with so many terminals in all, in at least `lab_count` labs: the first takes what SMALL_LAB seats in each of the others
        leave; their MACs."""
        self.call("init", "--hypervisor", self._hypervisor)
        self.call("image", "import", "tiny", str(image), "--format", "qcow2")
        self.call("profile", "add", "tiny", "--memory", str(MEMORY_MIB), "--disk", "tiny:virtio", "--protocol", "spice")
        macs = []
        with bootstrap.ports(self.state) as ports:
            for lab, seats in enumerate(_sizes(terminal_count, lab_count)):
                labs.add(ports, name=f"big-{lab + 1}", network=labs.parse_network(f"10.{80 + lab}.0.0/22"))
                for seat in range(seats):
                    mac = f"52:54:00:{0xB0 + lab:02x}:{seat >> 8:02x}:{seat & 255:02x}"
                    terminals.add(ports, lab=f"big-{lab + 1}", seat=seat + 1, mac=MacAddress.parse(mac))
                    macs.append(mac)
        return tuple(macs)

    def stop(self) -> None:
        """`labvirt serve` has ended, with all of its own processes; guests have not. Raises HostNotReady."""
        process.send_signal(self._process, signal.SIGTERM)
        if not process.wait_end(self._process, 60):
            raise HostNotReady("The controller does not end.", hint="Look at its log.")

    @property
    def door(self) -> tuple[str, int]:
        """Host and port of the page on the host's loopback: the same server answers the terminals' questions there."""
        parts = urlsplit(self.page)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port


class Controller:
    """A running controller with an open door to its database, for looking and clearing away."""

    def __init__(self, started: BenchController, ports: Ports) -> None:
        self.door = started.door
        self.state = started.state
        self._started = started
        self._ports = ports

    @property
    def ports(self) -> Ports:
        """For what has no HTTP door: sessions, versions."""
        return self._ports

    def guests(self) -> tuple[Guest, ...]:
        return power.guests(self._ports)

    def serial_line(self, guest: str) -> Path:
        """Where the serial line of this guest's newest run is."""
        found = power.one(self._ports, guest)
        return self.state / "runs" / f"{found.name}.g{found.generation}" / "serial.sock"

    def kill(self, guest: str) -> None:
        """The guest and everything of its run are gone. Raises HostNotReady after a minute."""
        power.stop(self._ports, guest, StopHow.KILL)
        deadline = time.monotonic() + 60
        while (found := power.one(self._ports, guest)).state is not GuestState.STOPPED:
            if time.monotonic() > deadline:
                raise HostNotReady(f"{guest} is not stopped but {found.state}: {found.reason}", hint="labvirt guest show")
            time.sleep(0.05)

    def starts_at_once(self) -> int:
        """How many starts the engine lets go on in parallel here at first: the host's own number, or its processors (domain/bearing.py)."""
        told = self._started.call("host", "show", "--engine")
        return int(told.get("starts_at_once") or machine.read_load(self.state).cpus)

    def web_seconds(self) -> float:
        """Processor time that the web process has taken (proc(5), stat: fields 14 and 15). Raises HostNotReady when there is none."""
        for each in Path("/proc").glob("[0-9]*"):
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
                if b"web" in words and str(self.state).encode() in words and b"python" in words[0]:
                    fields = (each / "stat").read_text().rpartition(")")[2].split()
                    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue  # it ended a moment ago
        raise HostNotReady("There is no web process.", hint="Look at the controller's log.")

    def memory_mib(self) -> float:
        """What all of the controller's own processes take: Pss of smaps_rollup (proc(5)), shared pages in parts."""
        found = 0
        for each in Path("/proc").glob("[0-9]*"):
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
                if str(self.state).encode() in words and b"python" in words[0]:
                    told = re.search(r"^Pss: +(\d+) kB", (each / "smaps_rollup").read_text(encoding="ascii"), re.MULTILINE)
                    found += int(told[1]) if told else 0
            except OSError:
                continue  # it ended a moment ago
        return found / 1024

    def leases(self, lab: str) -> int:
        """Lines in dnsmasq's own lease file."""
        file = self.state / "networks" / lab / "leases"
        return len(file.read_text(encoding="ascii").splitlines()) if file.exists() else 0


@contextmanager
def running(started: BenchController) -> Iterator[Controller]:
    """`labvirt serve` answers. It ends with its place. Raises HostNotReady."""
    started.start()
    with bootstrap.ports(started.state) as ports:
        yield Controller(started, ports)


def _sizes(terminals: int, lab_count: int) -> list[int]:
    """Seats of each lab."""
    if lab_count > 1:
        return [terminals - SMALL_LAB * (lab_count - 1), *[SMALL_LAB] * (lab_count - 1)]
    full, rest = divmod(terminals, SEATS_OF_BIG_LAB)
    return [SEATS_OF_BIG_LAB] * full + ([rest] if rest else [])
