# SPDX-License-Identifier: MIT
"""Clones of a real system: who they are on the network, what they share, and what they keep for themselves."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labvirt.contracts.hypervisor import Hypervisor, LaunchSpec, MachineState, NetworkPort
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Machine, Nic
from labvirt.errors import HypervisorError
from labvirt.hypervisors.qemu import identity
from labvirt.hypervisors.qemu.driver import QemuHypervisor
from labvirt.system.sockets import connect_unix
from tests.contracts.patience import until
from tests.contracts.test_qemu_tiny import RECIPE, SerialLine
from tests.contracts.test_template_deaths import dies
from tests.contracts.test_templates import DISKS, NAME, clone_spec
from tests.contracts.workshop import Ground, QemuWorkshop, Workshop, clear_leftovers
from tests.network.namespace import Namespace

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ANSWER_SECONDS = 60
MACS = {number: MacAddress(0x024C56FFF000 + number) for number in (1, 2, 3)}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("tiny") / "tiny.qcow2"
    subprocess.run((sys.executable, str(RECIPE), "--out", str(image)), check=True, timeout=240, capture_output=True)
    return image


@dataclass(frozen=True)
class Frozen:
    """A template of the tiny guest, which was booted once for all tests here, and specs that stand on it."""

    lab: Workshop
    kept: KeptTemplate

    def spec(self, guest: str, **changes: Any) -> LaunchSpec:
        return clone_spec(self.lab, guest, self.kept, memory_mib=128, **changes)


@contextlib.contextmanager
def frozen_on(workshop: Callable[[Path], Workshop], tiny: Path, **changes: Any) -> Iterator[Frozen]:
    """Of which only the image is the tiny guest's."""
    clear_leftovers()
    ground = Ground()
    try:
        lab = workshop(ground.path)
        shutil.copyfile(tiny, lab.base)
        lab.base.chmod(0o444)
        with contextlib.closing(lab):
            driver = lab.new()
            spec = lab.spec("lab-a-s15", memory_mib=128, **changes)
            driver.templates().prepare(spec)
            with SerialLine(spec.folder) as line:
                line.wake()
                line.ask("until test -e /run/kept && pidof qemu-ga; do sleep 0.1; done")
                line.say("keep made template")
                line.hear(b"kept made")
            kept = driver.templates().freeze(spec.run, NAME, DISKS)
            shutil.rmtree(spec.folder)  # nothing of a template is in the folder of its run
            yield Frozen(lab, kept)
    finally:
        ground.close()


@pytest.fixture(scope="module")
def frozen(tiny: Path) -> Iterator[Frozen]:
    with frozen_on(QemuWorkshop, tiny) as made:
        yield made


@pytest.fixture
def driver(frozen: Frozen) -> Iterator[Hypervisor]:
    """One more life of the controller; its guests end with the test."""
    driver = frozen.lab.new()
    yield driver
    for status in driver.running():
        driver.stop(status.run, StopHow.KILL)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Namespace]:
    """A bridge with a TAP for each seat, and a DHCP server that knows them; this thread is inside."""
    made = Namespace()
    try:
        with made.entered():
            _ip("link add lab type bridge stp_state 0")
            _ip("addr add 10.77.0.1/24 dev lab")
            _ip("link set lab up")
            for number in MACS:
                _ip(f"tuntap add tap{number} mode tap")
                _ip(f"link set tap{number} master lab up")
            hosts = [f"--dhcp-host={mac},10.77.0.{10 + number},pc-{number:02}" for number, mac in MACS.items()]
            argv = (
                *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--no-ping", "--port=0", "--interface=lab"),
                *("--dhcp-range=10.77.0.0,static", "--bind-interfaces", f"--dhcp-leasefile={tmp_path}/leases", "--pid-file=", *hosts),
            )
            with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
                yield made
                server.kill()
    finally:
        made.close()


def _ip(words: str) -> None:
    subprocess.run(("ip", *words.split()), check=True, timeout=30)


def facts(number: int) -> dict[str, Any]:
    """What the seat of this number says of itself, as soon as it says anything."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with socket.create_connection((f"10.77.0.{10 + number}", 7000), timeout=2) as link, link.makefile() as said:
                found: dict[str, Any] = json.loads(said.readline())
                if found["address"]:  # it answers a moment before it knows
                    return found
        except OSError:
            pass
        assert time.monotonic() < deadline, f"seat {number} never answered"


def vmgenid(driver: Hypervisor, run: RunId) -> str:
    assert isinstance(driver, QemuHypervisor)
    asking = driver._one(run).execute("query-vm-generation-id", deadline_seconds=10)
    answer = driver._loop.call(asking, timeout=20, subject=run.guest)
    assert isinstance(answer, dict)
    return str(answer["guid"])


def test_three_clones_answer_each_with_its_own_mac_and_address(frozen: Frozen, driver: Hypervisor, network: Namespace) -> None:
    specs = {}
    for number, mac in MACS.items():
        port = NetworkPort(tap=InterfaceName(f"tap{number}"), mac=mac, model=Nic.VIRTIO)
        specs[number] = frozen.spec(f"lab-a-1{number}", port=port)
    answers = {}
    for number, spec in specs.items():
        begun = time.monotonic()
        assert driver.templates().clone(spec, NAME).state is MachineState.RUNNING
        runs = time.monotonic()
        answers[number] = facts(number)
        print(f"clone {number}: runs after {runs - begun:.3f} s, answers after {time.monotonic() - begun:.3f} s")
    for number, answer in answers.items():
        assert (answer["mac"], answer["address"], answer["name"]) == (str(MACS[number]), f"10.77.0.{10 + number}", f"pc-{number:02}")
        assert answer["kept"] == {"made": "template"}
    assert len({vmgenid(driver, spec.run) for spec in specs.values()}) == 3
    with SerialLine(specs[1].folder) as line:
        line.say("keep mine one")
        line.hear(b"kept mine")
    assert facts(1)["kept"] == {"made": "template", "mine": "one"}
    assert facts(2)["kept"] == {"made": "template"}
    driver.stop(specs[1].run, StopHow.STOP)
    assert facts(3)["mac"] == str(MACS[3])
    (same,) = driver.templates().kept()
    assert (same.template, same.disk_bytes) == (frozen.kept.template, frozen.kept.disk_bytes)


def test_the_old_machine_takes_its_card_when_it_wakes(tiny: Path, network: Namespace) -> None:
    with frozen_on(QemuWorkshop, tiny, machine=Machine.PC) as frozen:
        driver = frozen.lab.new()
        port = NetworkPort(tap=InterfaceName("tap2"), mac=MACS[2], model=Nic.VIRTIO)
        driver.templates().clone(frozen.spec("lab-a-22", machine=Machine.PC, port=port), NAME)
        assert facts(2)["mac"] == str(MACS[2])


def test_a_clone_without_its_network_port_leaves_no_process(frozen: Frozen, driver: Hypervisor, network: Namespace) -> None:
    port = NetworkPort(tap=InterfaceName("tap9"), mac=MACS[1], model=Nic.VIRTIO)
    spec = frozen.spec("lab-a-31", port=port)
    with pytest.raises(HypervisorError, match="tap9 does not exist"):
        driver.templates().clone(spec, NAME)
    assert driver.running() == ()
    with pytest.raises(OSError, match="no interface"):
        socket.if_nametoindex("tap9")
    _ip("tuntap add tap9 mode tap")
    assert driver.templates().clone(spec, NAME).state is MachineState.RUNNING
    driver.stop(spec.run, StopHow.STOP)
    driver.templates().clone(spec, NAME)  # nobody else holds the port any more


STEPS = ("qmp_capabilities", "migrate-set-capabilities", "getfd", "migrate-incoming", "netdev_add", "device_add")
"""Of waking, before the clone has everything."""


@pytest.mark.parametrize("step", [*STEPS, "cont"])
def test_a_controller_that_is_killed_while_it_wakes_a_clone_leaves_none(
    frozen: Frozen, network: Namespace, tmp_path: Path, step: str
) -> None:
    """It would wait for its state, or for its network card, for ever, and look like a guest."""
    number = [*STEPS, "cont"].index(step)
    port = NetworkPort(tap=InterfaceName("tap3"), mac=MACS[3], model=Nic.VIRTIO)
    spec = frozen.spec(f"lab-a-8{number}", port=port)
    (tmp_path / "spec").write_bytes(pickle.dumps(spec))
    assert dies("-", frozen.lab.runs, "wake", tmp_path / "spec", step)
    assert identity.find(spec.folder) != ()
    second = frozen.lab.new()
    if step == "cont":  # it has everything, and only stands still
        assert [(each.run, each.state) for each in second.running()] == [(spec.run, MachineState.PAUSED)]
        second.resume(spec.run)
    else:
        if number % 2:  # the first look ends it, or whoever wants to start it
            assert second.running() == ()
            assert identity.find(spec.folder) == ()
        assert second.templates().clone(spec, NAME).state is MachineState.RUNNING
    assert facts(3)["mac"] == str(MACS[3])
    second.stop(spec.run, StopHow.STOP)
    assert second.running() == ()


def test_nobody_can_write_into_the_memory_that_clones_share(frozen: Frozen, driver: Hypervisor) -> None:
    """Not through the descriptor that QEMU has, and not through the files of the template: a guest that breaks out is alone."""
    spec = frozen.spec("lab-a-41")
    pid = driver.templates().clone(spec, NAME).pid
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if "memfd:labvirt" in str(entry.readlink()):
                with entry.open("r+b", buffering=0) as file, pytest.raises(PermissionError):
                    file.write(b"x")
                break
    else:
        raise AssertionError("it does not have the memory open")
    disk = Path(f"/proc/{pid}/root/images/drive0-1.qcow2")
    assert disk.samefile(frozen.kept.disks[0].path)
    with pytest.raises(OSError, match="Read-only"):
        disk.open("r+b")
    assert not Path(f"/proc/{pid}/root{frozen.kept.disks[0].path.parent}").exists()


def test_the_agent_and_the_serial_line_of_a_clone_are_its_own(frozen: Frozen, driver: Hypervisor) -> None:
    specs = [frozen.spec(f"lab-a-5{number}") for number in (1, 2)]
    for spec in specs:
        driver.templates().clone(spec, NAME)
    for spec in specs:
        with SerialLine(spec.folder) as line:
            line.say(f"exec echo {spec.run.guest} > /tmp/who; echo do''ne")
            line.hear(b"done")
    for spec in specs:
        heard: list[bytes | None] = []

        def reads(run: RunId = spec.run, heard: list[bytes | None] = heard) -> bool:
            with contextlib.suppress(Exception):
                heard.append(driver.read_guest_file(run, "/tmp/who", 100))
            return bool(heard)

        until(reads, "its agent never answered")
        assert heard == [f"{spec.run.guest}\n".encode()]
        connect_unix(spec.folder / "serial.sock", timeout=10).close()
