# SPDX-License-Identifier: MIT
"""Where a demo lives: one folder and network namespaces whose names carry its owner, so that whatever is left can be found and removed.

All of a demo's processes (guests, dnsmasq, kiosks, viewers) live in its namespaces: 'ip netns pids' knows them all, and deleting the
namespace takes bridge, TAPs and rules with it. The host's own network is never touched.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from labvirt.errors import HostNotReady
from labvirt.system import process

PREFIX = "lvd"
_NAME = re.compile(PREFIX + r"(\d+)x(\d+)(?:-t\d+)?\Z")
FOLDER = "labvirt-demo-"
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """One demo: its owner's pid and start time (clock ticks since boot, proc(5) field 22) name everything."""

    owner: int
    started: int
    root: Path

    @property
    def namespace(self) -> str:
        return f"{PREFIX}{self.owner}x{self.started}"

    def terminal_namespace(self, seat: int) -> str:
        return f"{self.namespace}-t{seat}"

    @property
    def folder(self) -> Path:
        return self.root / f"{FOLDER}{self.owner}x{self.started}"

    @property
    def state(self) -> Path:
        return self.folder / "state"


def own(root: Path) -> Place:
    """This process's place, made: the folder exists (0700) and the controller's namespace is up. Raises HostNotReady."""
    me = process.identify(os.getpid())
    if me is None:
        raise HostNotReady("/proc does not show this process.", hint="Mount /proc.")
    place = Place(me.pid, me.start_ticks, root)
    place.folder.mkdir(mode=0o700, parents=True)
    make_namespace(place.namespace)
    return place


def make_namespace(name: str) -> None:
    """The namespace exists and its loopback is up."""
    # PRIVILEGE: CAP_SYS_ADMIN to make a named network namespace; the name is ours (PREFIX, digits).
    result = process.run(["ip", "netns", "add", name], timeout=20)
    if not result.ok:
        raise HostNotReady(f"No network namespace can be made: {result.last_words}", hint="Run the demo as root: sudo make demo")
    process.run(["ip", "-n", name, "link", "set", "lo", "up"], timeout=20)


def remove(place: Place) -> None:
    """Every process of the demo is gone, then its namespaces, then its folder. Safe to repeat."""
    names = [name for name in _namespaces() if name == place.namespace or name.startswith(place.namespace + "-t")]
    end(names)
    shutil.rmtree(place.folder, ignore_errors=True)


def end(namespaces: list[str]) -> None:
    """Every process in these namespaces is gone, then they are. Safe to repeat."""
    _end_processes(namespaces)
    for name in namespaces:
        process.run(["ip", "netns", "delete", name], timeout=20)


def remove_leftovers(root: Path) -> int:
    """Demos whose owner is gone (kill -9, power cut) are removed; how many there were."""
    dead: dict[tuple[int, int], Place] = {}
    names = [*_namespaces(), *(PREFIX + path.name.removeprefix(FOLDER) for path in root.glob(FOLDER + "*"))]
    for name in names:
        match = _NAME.match(name)
        if match and _start_ticks(int(match[1])) != int(match[2]):
            dead[int(match[1]), int(match[2])] = Place(int(match[1]), int(match[2]), root)
    for place in dead.values():
        remove(place)
    return len(dead)


def _start_ticks(pid: int) -> int | None:
    found = process.identify(pid)
    return found.start_ticks if found else None


def _namespaces() -> list[str]:
    listed = process.run(["ip", "netns", "list"], timeout=20).stdout.decode().splitlines()
    return [name for line in listed if _NAME.match(name := line.split(" ")[0])]


def _end_processes(namespaces: list[str]) -> None:
    """Kill until nothing is left: a process may fork between listing and killing. Nothing outside our namespaces is ever signalled."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        pids = [int(pid) for name in namespaces for pid in process.run(["ip", "netns", "pids", name], timeout=20).stdout.split()]
        found = [identity for pid in pids if pid != os.getpid() and (identity := process.identify(pid))]
        if not found:
            return
        for identity in found:
            process.send_signal(identity, signal.SIGKILL)
        for identity in found:
            process.wait_end(identity, deadline - time.monotonic())
