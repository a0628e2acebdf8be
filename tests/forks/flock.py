# SPDX-License-Identifier: MIT
"""Many clones of one frozen tiny guest on one bridge, and what each says of itself."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from labvirt.contracts.hypervisor import Hypervisor, LaunchSpec, NetworkPort
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import StopHow
from labvirt.domain.profile import Nic
from labvirt.domain.seat_note import SEAT_NOTE, seat_note
from labvirt.system.privileges import ends_with_parent
from tests.contracts.test_qemu_tiny import SerialLine, TinyWorkshop
from tests.contracts.test_templates import DISKS, NAME, clone_spec
from tests.contracts.workshop import Ground, clear_leftovers
from tests.network.namespace import Namespace

ANSWER_SECONDS = 400
"""A deadline, not a promise: a hundred guests on a busy machine."""
SETTLE_SECONDS = 120
"""While a hundred guests set their clocks at once, each may be overtaken by the others in the middle of it and begins again."""
MEMORY_MIB = 128
FIRST_MAC = 0x024C56FFE000
GATEWAY = IPv4Address("10.79.0.1")
OWN = ("mac", "address", "name", "machine_id", "boot_id", "vmgenid", "random", "run")
"""What no two may have in common."""


@dataclass(frozen=True)
class Answer:
    """The clone ran `runs` seconds after the request, and `facts` came after `answers`; its clock was `ahead` seconds of the host's."""

    number: int
    spec: LaunchSpec
    facts: dict[str, Any]
    runs: float
    answers: float
    ahead: float


def _ip(words: str) -> None:
    subprocess.run(("ip", *words.split()), check=True, timeout=30)


def seat_address(number: int) -> str:
    return str(GATEWAY + 9 + number)


@contextlib.contextmanager
def network(count: int, folder: Path) -> Iterator[Namespace]:
    """A bridge with TAPs tap0, tap1, ... and a DHCP server that gives each seat its address, and no name. This thread is inside."""
    made = Namespace()
    try:
        with made.entered():
            _ip("link add lab type bridge stp_state 0")
            _ip(f"addr add {GATEWAY}/24 dev lab")
            _ip("link set lab up")
            for number in range(count):
                _ip(f"tuntap add tap{number} mode tap")
                _ip(f"link set tap{number} master lab up")
            hosts = [f"--dhcp-host={MacAddress(FIRST_MAC + number)},{seat_address(number)}" for number in range(count)]
            argv = (
                *ends_with_parent(),
                *(
                    "dnsmasq",
                    "--keep-in-foreground",
                    "--conf-file=/dev/null",
                    "--user=root",
                    "--group=root",
                    "--no-ping",
                    "--port=0",
                    "--interface=lab",
                ),
                *("--dhcp-range=10.79.0.0,static", "--bind-interfaces", f"--dhcp-leasefile={folder}/leases", "--pid-file=", *hosts),
            )
            with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
                try:
                    yield made
                finally:
                    server.kill()
    finally:
        made.close()


class Flock:
    """A template of the tiny guest, and its clones. `close` ends them all."""

    def __init__(self, image: Path) -> None:
        clear_leftovers()
        self._stack = contextlib.ExitStack()
        ground = Ground()
        self._stack.callback(ground.close)
        try:
            self._lab = self._stack.enter_context(contextlib.closing(TinyWorkshop(ground.path).use(image)))
            self.driver: Hypervisor = self._lab.new()
            self.kept, self.before = self._freeze()
        except BaseException:
            self._stack.close()
            raise

    def _freeze(self) -> tuple[KeptTemplate, dict[str, Any]]:
        """The template, and what it said of itself."""
        spec = _told(self._lab.spec("lab-a-s15", memory_mib=MEMORY_MIB))
        self.driver.templates().prepare(spec)
        with SerialLine(spec.folder) as line:
            line.wake(ANSWER_SECONDS)
            line.ask("until test -e /run/kept && pidof qemu-ga; do sleep 0.1; done")
            before = facts_by(line)
        kept = self.driver.templates().freeze(spec.run, NAME, DISKS)
        shutil.rmtree(spec.folder)
        return kept, before

    def clone(self, number: int, *, card: bool = True) -> LaunchSpec:
        """The clone with this number runs. Without a card nothing tells the guest that it is one."""
        mac = MacAddress(FIRST_MAC + number)
        port = NetworkPort(tap=InterfaceName(f"tap{number}"), mac=mac, model=Nic.VIRTIO) if card else None
        spec = _told(clone_spec(self._lab, f"lab-a-{number:03}", self.kept, memory_mib=MEMORY_MIB, port=port))
        self.driver.templates().clone(spec, NAME)
        return spec

    def fork(self, numbers: Sequence[int]) -> list[Answer]:
        """These clones run, each asked over the network as soon as it answers. This thread is in their network."""
        with ThreadPoolExecutor(len(numbers)) as askers:  # its threads are made in this thread's network
            waiting = []
            for number in numbers:
                begun = time.monotonic()
                spec = self.clone(number)
                waiting.append(askers.submit(_ask, number, spec, begun, time.monotonic() - begun))
            return [each.result() for each in waiting]

    def settled(self, answers: list[Answer]) -> list[Answer]:
        """Each asked again until its clock is less than a second wrong; as it is in the end when that takes too long."""
        return [self._settled(answer, time.monotonic()) for answer in answers]

    @staticmethod
    def _settled(answer: Answer, begun: float) -> Answer:
        while True:
            again = _ask(answer.number, answer.spec, begun, 0.0)
            if abs(again.ahead) < 1 or again.answers > SETTLE_SECONDS:
                return again
            time.sleep(0.5)  # each question costs it a program, and keeps it from setting its clock

    def stop(self) -> None:
        for status in self.driver.running():
            self.driver.stop(status.run, StopHow.KILL)

    def close(self) -> None:
        self.stop()
        self._stack.close()


def _told(spec: LaunchSpec) -> LaunchSpec:
    """With what the engine tells a guest of who it is."""
    return replace(spec, told=((SEAT_NOTE, seat_note(spec.run, name=spec.run.guest, uuid=spec.uuid)),))


def _ask(number: int, spec: LaunchSpec, begun: float, runs: float) -> Answer:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        asked = time.time()
        try:
            with socket.create_connection((seat_address(number), 7000), timeout=5) as link, link.makefile() as said:
                facts: dict[str, Any] = json.loads(said.readline())
                now = time.time()
                if facts["address"]:
                    return Answer(number, spec, facts, runs, time.monotonic() - begun, _ahead(facts["clock"], asked, now))
            time.sleep(0.2)  # it answers a moment before it knows, and each answer costs it a program
        except (OSError, ValueError):
            time.sleep(0.02)
        assert time.monotonic() < deadline, f"seat {number} never answered"


def _ahead(clock: float, asked: float, answered: float) -> float:
    """How far a guest's clock was from ours when it looked, which was in between: who waits for a processor has no wrong clock."""
    return clock - min(max(clock, asked), answered)


def facts_by(line: SerialLine) -> dict[str, Any]:
    """What the guest says of itself on its serial line."""
    line.say("facts")
    line.until(b"{")
    found: dict[str, Any] = json.loads(b"{" + line.until(b"\n"))
    return found
