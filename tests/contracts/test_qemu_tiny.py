# SPDX-License-Identifier: MIT
"""What shows only with a system inside: its frames on the TAP, a full disk of the host, its power button."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labvirt.contracts.hypervisor import AGENT_SOCKET, OVERLAY_CAP_REASON, EventKind, MachineState, NetworkPort
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Nic
from labvirt.errors import HypervisorError
from labvirt.hypervisors.qemu import accelerator
from labvirt.system.priority import GUEST_NICE
from labvirt.system.sockets import connect_unix
from tests.contracts.patience import until
from tests.contracts.workshop import Ground, QemuWorkshop, Workshop
from tests.network.namespace import Namespace

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

BOOT_SECONDS = 120
RECIPE = Path(__file__).parents[2] / "images" / "tiny" / "build.py"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny guest's image; built, or found in its cache."""
    image = tmp_path_factory.mktemp("tiny") / "tiny.qcow2"
    subprocess.run((sys.executable, str(RECIPE), "--out", str(image)), check=True, timeout=240, capture_output=True)
    return image


class TinyWorkshop(QemuWorkshop):
    """Its runs stand on the tiny guest."""

    def use(self, image: Path) -> TinyWorkshop:
        shutil.copyfile(image, self.base)
        self.base.chmod(0o444)
        return self


@pytest.fixture
def lab(ground: Ground, tiny: Path) -> Iterator[TinyWorkshop]:
    made = TinyWorkshop(ground.path).use(tiny)
    yield made
    made.close()


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


class SerialLine(contextlib.AbstractContextManager["SerialLine"]):
    """What the guest says on its serial line, and what it is told."""

    def __init__(self, folder: Path) -> None:
        self._link = connect_unix(folder / "serial.sock")
        self._heard = b""

    def say(self, line: str) -> None:
        self._link.settimeout(BOOT_SECONDS)  # what `hear` left of its own may be a moment
        self._link.sendall(line.encode() + b"\n")

    def wake(self, seconds: float = BOOT_SECONDS) -> None:
        """The guest listens: what is said earlier is lost."""
        deadline = time.monotonic() + seconds
        while True:
            self.say("ping")
            try:
                return self.hear(b"pong", seconds=2)
            except TimeoutError:
                assert time.monotonic() < deadline

    def ask(self, command: str) -> None:
        """The guest has done this."""
        self.say(f"exec {command}; echo do''ne")  # spelt in two parts, should the line come back as an echo
        self.hear(b"done")

    def hear(self, words: bytes, *, seconds: float = BOOT_SECONDS) -> None:
        """The guest has said this."""
        deadline = time.monotonic() + seconds
        while words not in self._heard:
            self._link.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self._link.recv(65536)
            assert piece, f"it ended after {self._heard!r}"
            self._heard += piece
        self._heard = self._heard.partition(words)[2]

    def until(self, words: bytes) -> bytes:
        """What it says up to these words."""
        while words not in self._heard:
            piece = self._link.recv(65536)
            assert piece, f"it ended after {self._heard!r}"
            self._heard += piece
        before, _, self._heard = self._heard.partition(words)
        return before

    def __exit__(self, *error: object) -> None:
        self._link.close()


def test_a_guest_speaks_through_its_port_with_its_own_mac(lab: TinyWorkshop) -> None:
    mac = MacAddress.parse("02:4c:56:ff:f0:01")
    network = Namespace()
    try:
        with network.entered(), contextlib.ExitStack() as stack:
            driver = lab.new()
            port = NetworkPort(tap=InterfaceName("lvtfff001"), mac=mac, model=Nic.VIRTIO)
            spec = lab.spec(memory_mib=128, port=port)
            with pytest.raises(HypervisorError, match="lvtfff001 does not exist"):
                driver.start(spec)
            with pytest.raises(OSError, match="no interface"):
                socket.if_nametoindex("lvtfff001")
            for words in ("tuntap add lvtfff001 mode tap", "link set lvtfff001 up"):
                subprocess.run(("ip", *words.split()), check=True, timeout=30)
            wire = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
            wire.bind(("lvtfff001", 0))
            wire.settimeout(BOOT_SECONDS)
            driver.start(spec)
            sender = b""
            while sender != mac.value.to_bytes(6):
                sender = wire.recv(65536)[6:12]
            driver.stop(spec.run, StopHow.STOP)
            driver.start(spec)  # nobody else holds the port any more
            driver.stop(spec.run, StopHow.KILL)
            driver.start(spec)
    finally:
        network.close()


def test_the_power_button_switches_the_guest_off(lab: TinyWorkshop, stack: contextlib.ExitStack) -> None:
    driver = lab.new()
    heard = lab.heard(driver)
    spec = lab.spec(memory_mib=128)
    pid = driver.start(spec).pid
    assert pid is not None
    assert {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir(f"/proc/{pid}/task")} == {GUEST_NICE}
    line = stack.enter_context(SerialLine(spec.folder))
    line.hear(b"LABVIRT GUEST BOOTED serial=lab-a-01 uuid=" + str(spec.uuid).encode())
    line.wake()
    line.ask("until pidof acpid; do sleep 0.1; done")
    driver.stop(spec.run, StopHow.SHUTDOWN)
    heard.wait(spec.run, EventKind.GUEST_SHUTDOWN)
    assert heard.wait(spec.run, EventKind.ENDED).detail == "it switched itself off"
    assert driver.running() == ()


def test_the_agent_of_the_guest_answers_on_its_channel(lab: TinyWorkshop) -> None:
    driver = lab.new()
    # On trial: else the driver holds the channel.
    spec, without = (lab.spec(guest, memory_mib=128, on_trial=True) for guest in ("lab-a-01", "lab-a-02"))
    driver.start(spec)
    driver.start(without)
    driver.pause(without.run)
    with contextlib.closing(connect_unix(spec.folder / AGENT_SOCKET)) as link:
        link.settimeout(BOOT_SECONDS)
        ask(link, "guest-sync", id=7)  # QEMU keeps what is said before anybody listens
        assert answer(link) == 7
        ask(link, "guest-exec", path="/bin/sh", arg=["-c", "cat /sys/class/dmi/id/product_serial"], **{"capture-output": True})
        pid = answer(link)["pid"]
        status = {"exited": False}
        while not status["exited"]:
            ask(link, "guest-exec-status", pid=pid)
            status = answer(link)
        assert (status["exitcode"], base64.b64decode(status["out-data"])) == (0, b"lab-a-01\n")
    with contextlib.closing(connect_unix(without.folder / AGENT_SOCKET)) as link:
        link.settimeout(1)
        ask(link, "guest-sync", id=8)
        with pytest.raises(TimeoutError):
            answer(link)


def ask(link: socket.socket, command: str, **arguments: object) -> None:
    link.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")


def answer(link: socket.socket) -> Any:
    heard = b""
    while not heard.endswith(b"\n"):
        piece = link.recv(65536)
        assert piece, f"the channel ended after {heard!r}"
        heard += piece
    return json.loads(heard)["return"]


def test_a_fast_writer_hardly_overshoots_its_cap(lab: TinyWorkshop) -> None:
    driver = lab.new()
    heard = lab.heard(driver)
    cap = 40 << 20
    spec = lab.spec(memory_mib=128, overlay_cap_bytes=cap)
    driver.start(spec)
    overlay = spec.folder / "overlay-0.qcow2"
    with SerialLine(spec.folder) as line:
        line.wake()
        line.ask("until test -b /dev/vda; do sleep 0.1; done")
        line.say("exec yes LabVirt | dd of=/dev/vda bs=4M seek=10 count=50 oflag=direct iflag=fullblock")
        assert heard.wait(spec.run, EventKind.PAUSED).detail == OVERLAY_CAP_REASON
    size = _settled(overlay)
    print(f"overshoot: {(size - cap) / 1024:.0f} KiB")
    assert cap - (8 << 20) < size < cap + (32 << 20)  # it may be held before the write that crosses the cap is in the file
    with pytest.raises(HypervisorError, match=OVERLAY_CAP_REASON):
        driver.resume(spec.run)
    assert overlay.stat().st_size == size


def _settled(file: Path) -> int:
    """Its size when nothing grows any more: what was in flight when the machine stopped is still written after STOP was told."""
    sizes = [file.stat().st_size]

    def same() -> bool:
        time.sleep(0.5)
        sizes.append(file.stat().st_size)
        return sizes[-1] == sizes[-2]

    until(same, f"{file.name} grows while its machine stands still")
    return sizes[-1]


def test_a_full_disk_pauses_the_guest_and_room_lets_it_go_on(ground: Ground, tiny: Path) -> None:
    def story() -> None:
        subprocess.run(("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(ground.path)), check=True, timeout=30)
        lab = TinyWorkshop(ground.path).use(tiny)
        with contextlib.closing(lab), contextlib.ExitStack() as stack:
            _fill_and_resume(lab, stack)

    _in_own_mounts(story)


def _fill_and_resume(lab: Workshop, stack: contextlib.ExitStack) -> None:
    driver = lab.new()
    heard = lab.heard(driver)
    spec, other = lab.spec(memory_mib=128), lab.spec("lab-a-02", memory_mib=128)
    driver.start(spec)
    driver.start(other)
    line = stack.enter_context(SerialLine(spec.folder))
    line.wake()
    line.ask("until test -b /dev/vda; do sleep 0.1; done")
    line.say("exec dd if=/dev/urandom of=/dev/vda bs=1M seek=40 count=100; sync; echo wri''tten")
    paused = heard.wait(spec.run, EventKind.PAUSED)
    assert paused.detail == "the disk of the host is full"
    assert _state(driver.running, spec.run) == (MachineState.PAUSED, "the disk of the host is full")
    assert _state(driver.running, other.run) == (MachineState.RUNNING, "")
    adopting = lab.new()
    driver.close()
    assert _state(adopting.running, spec.run) == (MachineState.PAUSED, "the disk of the host is full")
    with pytest.raises(HypervisorError, match="the disk of the host is full"):
        adopting.resume(spec.run)
    subprocess.run(("mount", "-o", "remount,size=300m", str(lab.folder)), check=True, timeout=30)
    heard = lab.heard(adopting)
    adopting.resume(spec.run)
    heard.wait(spec.run, EventKind.RESUMED)
    line.hear(b"written")
    assert _state(adopting.running, spec.run) == (MachineState.RUNNING, "")


def test_a_guest_that_boots_proves_the_accelerator(tiny: Path, tmp_path: Path) -> None:
    """Under TCG it boots; under KVM only where virtualisation is real. What is found is kept and used."""
    assert accelerator.boots(tiny, "tcg", seconds=BOOT_SECONDS)
    assert not accelerator.boots(tmp_path / "missing.qcow2", "tcg", seconds=BOOT_SECONDS)
    cache = tmp_path / "probed.json"
    first = accelerator.choose("auto", guest=tiny, cache=cache, qemu_version="x")
    assert first == accelerator.choose("auto", guest=tiny, cache=cache, qemu_version="x")
    assert cache.exists() == accelerator.KVM_DEVICE.exists()
    assert first.name == "kvm" or "security boundary" in first.notice


def _state(running: Callable[[], tuple[object, ...]], run: RunId) -> tuple[MachineState, str]:
    return next((s.state, s.reason) for s in running() if s.run == run)  # type: ignore[attr-defined]


def _in_own_mounts(story: Callable[[], None]) -> None:
    """A thread with mounts of its own tells the story; its threads and processes share them, and they go with the
    last of them.
    """
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def told() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            if libc.unshare(0x00020000):  # CLONE_NEWNS, linux/sched.h
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            subprocess.run(("mount", "--make-rprivate", "/"), check=True, timeout=30)
            story()
        except BaseException as error:  # noqa: BLE001 - told to the test
            ended.put(error)
        else:
            ended.put(None)

    thread = threading.Thread(target=told)
    thread.start()
    thread.join()
    error = ended.get()
    if error is not None:
        raise error
