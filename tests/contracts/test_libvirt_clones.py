# SPDX-License-Identifier: MIT
"""Instant clones through libvirt, of a real system and of none: who they are, what they share, and what accidents leave."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labvirt.contracts.hypervisor import Hypervisor, MachineState, NetworkPort
from labvirt.domain.addresses import InterfaceName
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Machine, Nic
from labvirt.errors import HypervisorError, TemplateUnfit
from labvirt.hypervisors.libvirt.processes import find_pids
from labvirt.hypervisors.qemu.driver import QemuHypervisor
from labvirt.hypervisors.template_manifest import STATE, FileSum, parse
from labvirt.system.process import identify
from tests.contracts.private_libvirt import PrivateLibvirt, private_libvirt
from tests.contracts.test_qemu_clones import MACS, Frozen, facts, frozen_on
from tests.contracts.test_qemu_tiny import RECIPE, SerialLine
from tests.contracts.test_template_deaths import dies
from tests.contracts.test_templates import DISKS, NAME, clone_spec, make
from tests.contracts.workshop import WORKSHOPS, Ground, LibvirtWorkshop, states

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

STEPS = ("migrate-set-capabilities", "getfd", "migrate-incoming", "plug the network card of", "mark")
"""Of waking, before the clone counts as awake."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("tiny") / "tiny.qcow2"
    subprocess.run((sys.executable, str(RECIPE), "--out", str(image)), check=True, timeout=240, capture_output=True)
    return image


@pytest.fixture(scope="module")
def frozen(tiny: Path) -> Iterator[Frozen]:
    with frozen_on(LibvirtWorkshop, tiny) as made:
        yield made


@pytest.fixture
def driver(frozen: Frozen) -> Iterator[Hypervisor]:
    """One more life of the controller; its guests end with the test."""
    driver = frozen.lab.new()
    yield driver
    for status in driver.running():
        driver.stop(status.run, StopHow.KILL)


@pytest.fixture
def shop(ground: Ground) -> Iterator[LibvirtWorkshop]:
    """Machines with no system inside."""
    made = WORKSHOPS["libvirt"](ground.path)
    assert isinstance(made, LibvirtWorkshop)
    yield made
    made.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateLibvirt]:
    """A TAP for each seat on libvirtd's bridge, and a DHCP server that knows them; this thread is inside."""
    made = private_libvirt()
    hosts = [f"--dhcp-host={mac},10.77.0.{10 + number},pc-{number:02}" for number, mac in MACS.items()]
    argv = (
        *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--no-ping", "--port=0", "--interface=lvb000"),
        *("--dhcp-range=10.77.0.0,static", "--bind-interfaces", f"--dhcp-leasefile={tmp_path}/leases", "--pid-file=", *hosts),
    )
    with made.entered():
        _ip("link set lvb000 type bridge stp_state 0 forward_delay 0")
        for number in MACS:
            _ip(f"tuntap add tap{number} mode tap")
            _ip(f"link set tap{number} master lvb000 up")
        try:
            with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as server:
                yield made
                server.kill()
        finally:
            for number in MACS:
                _ip(f"link delete tap{number}")


def _ip(words: str) -> None:
    subprocess.run(("ip", *words.split()), check=True, timeout=30)


def _port(number: int) -> NetworkPort:
    return NetworkPort(tap=InterfaceName(f"tap{number}"), mac=MACS.get(number, MACS[1]), model=Nic.VIRTIO)


def _asked(libvirt: PrivateLibvirt, run: RunId, command: str) -> object:
    return json.loads(libvirt.virsh("qemu-monitor-command", str(run), json.dumps({"execute": command})))["return"]


def test_three_clones_answer_each_with_its_own_mac_and_address(frozen: Frozen, driver: Hypervisor, network: PrivateLibvirt) -> None:
    specs = {number: frozen.spec(f"lab-a-1{number}", port=_port(number)) for number in MACS}
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
    assert len({json.dumps(_asked(network, spec.run, "query-vm-generation-id")) for spec in specs.values()}) == 3
    for number, spec in specs.items():  # it belongs to the domain: whoever looks with virsh sees it
        card = ElementTree.fromstring(network.virsh("dumpxml", str(spec.run))).find("./devices/interface/mac")  # noqa: S314 - libvirtd wrote it
        assert card is not None
        assert card.attrib["address"] == str(MACS[number])
    with SerialLine(specs[1].folder) as line:
        line.say("keep mine one")
        line.hear(b"kept mine")
    assert facts(1)["kept"] == {"made": "template", "mine": "one"}
    assert facts(2)["kept"] == {"made": "template"}
    driver.close()  # the next life finds them as they are
    second = frozen.lab.new()
    assert states(second) == {spec.run.guest: MachineState.RUNNING for spec in specs.values()}
    second.stop(specs[1].run, StopHow.STOP)
    assert facts(3)["mac"] == str(MACS[3])
    for spec in specs.values():
        second.stop(spec.run, StopHow.KILL)


def test_the_old_machine_takes_its_card_when_it_wakes(tiny: Path, network: PrivateLibvirt) -> None:
    with frozen_on(LibvirtWorkshop, tiny, machine=Machine.PC) as frozen:
        driver = frozen.lab.new()
        driver.templates().clone(frozen.spec("lab-a-22", machine=Machine.PC, port=_port(2)), NAME)
        assert facts(2)["mac"] == str(MACS[2])


def test_nobody_can_write_into_the_memory_that_clones_share(frozen: Frozen, driver: Hypervisor) -> None:
    """Not through the descriptor that QEMU has: a guest that breaks out is alone. And nobody but its QEMU holds it for it any more."""
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
    assert spec.uid is not None
    assert _processes_of(spec.uid) == [pid]


def _processes_of(uid: int) -> list[int]:
    """Without those that have ended and wait for the first process of a machine that reaps late, or never."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdecimal() and entry.stat().st_uid == uid and identify(int(entry.name)) is not None:
                found.append(int(entry.name))
    return found


def test_a_clone_without_its_network_port_leaves_no_process(shop: LibvirtWorkshop) -> None:
    driver = shop.new()
    spec = clone_spec(shop, "lab-a-31", make(shop, driver), port=_port(9))
    with pytest.raises(HypervisorError, match="tap9 does not exist"):
        driver.templates().clone(spec, NAME)
    assert driver.running() == ()
    assert spec.uuid not in find_pids()
    assert spec.uid is not None
    assert _processes_of(spec.uid) == []
    shop.libvirt.inside("ip", "tuntap", "add", "tap9", "mode", "tap")
    try:
        assert driver.templates().clone(spec, NAME).state is MachineState.RUNNING
        driver.stop(spec.run, StopHow.STOP)
    finally:
        shop.libvirt.inside("ip", "link", "delete", "tap9")


def test_a_template_of_the_other_driver_is_refused_by_its_ground(shop: LibvirtWorkshop) -> None:
    ours, direct = shop.new(), QemuHypervisor(runs=shop.runs, templates=shop.folder / "templates", choice="tcg")
    with contextlib.closing(direct):
        by_libvirt = make(shop, ours)
        spec = shop.spec("lab-a-s01")
        direct.templates().prepare(spec)
        by_qemu = direct.templates().freeze(spec.run, replace(NAME, number=2), DISKS)
        assert ours.templates().kept() == direct.templates().kept() == (by_libvirt, by_qemu)
        for driver, own, other, maker in ((ours, by_libvirt, by_qemu, "qemu"), (direct, by_qemu, by_libvirt, "libvirt")):
            with pytest.raises(TemplateUnfit, match=rf"made by {maker} \d"):
                driver.templates().clone(clone_spec(shop, f"lab-a-1{own.template.name.number}", other), other.template.name)
            assert driver.running() == ()
            fine = clone_spec(shop, f"lab-a-2{own.template.name.number}", own)
            assert driver.templates().clone(fine, own.template.name).state is MachineState.RUNNING
            driver.stop(fine.run, StopHow.STOP)


def test_a_state_that_qemu_does_not_take_leaves_no_process(shop: LibvirtWorkshop) -> None:
    """Its sums are right: only QEMU can tell."""
    kept = make(shop, shop.new())
    folder = kept.disks[0].path.parent
    text, whole = (folder / "manifest.json").read_bytes(), (folder / STATE).read_bytes()

    def state(content: bytes) -> None:
        manifest = parse(text, NAME)
        files = manifest.files | {STATE: FileSum(size=len(content), sha256=hashlib.sha256(content).hexdigest())}
        for name, written in ((STATE, content), ("manifest.json", replace(manifest, files=files).render().encode())):
            (folder / name).chmod(0o644)
            (folder / name).write_bytes(written)

    for number, spoilt in enumerate((whole[: len(whole) // 2], whole.replace(b"virtio-blk", b"virtio-nlk"))):
        state(spoilt)
        spec = clone_spec(shop, f"lab-a-1{number}", kept)
        driver = shop.new()  # it has not read another one
        with pytest.raises(TemplateUnfit, match="does not take its state"):
            driver.templates().clone(spec, NAME)
        assert driver.running() == ()
        assert spec.uuid not in find_pids()
    state(whole)
    assert shop.new().templates().clone(clone_spec(shop, "lab-a-20", kept), NAME).state is MachineState.RUNNING


def test_a_controller_that_is_killed_while_it_wakes_a_clone_leaves_none(shop: LibvirtWorkshop, tmp_path: Path) -> None:
    kept = make(shop, first := shop.new())
    first.close()
    shop.libvirt.inside("ip", "tuntap", "add", "tap9", "mode", "tap")
    try:
        for number, step in enumerate((*STEPS, "wake")):
            spec = clone_spec(shop, f"lab-a-1{number}", kept, port=_port(9))
            (tmp_path / "spec").write_bytes(pickle.dumps(spec))
            assert dies(shop.libvirt.uri, shop.runs, "wake", tmp_path / "spec", step)
            assert spec.uuid in find_pids()
            second = shop.new()
            if step == "wake":  # it has everything, and only stands still
                assert states(second) == {spec.run.guest: MachineState.PAUSED}
                second.resume(spec.run)
                assert states(second) == {spec.run.guest: MachineState.RUNNING}
            else:
                if number % 2:  # the first look ends it, or whoever wants to start it
                    assert second.running() == ()
                    assert spec.uuid not in find_pids()
                assert second.templates().clone(spec, NAME).state is MachineState.RUNNING
            second.stop(spec.run, StopHow.STOP)
            assert spec.uid is not None
            assert _processes_of(spec.uid) == []
            second.close()
    finally:
        shop.libvirt.inside("ip", "link", "delete", "tap9")


def test_a_clone_that_is_being_woken_by_somebody_is_no_run_yet(shop: LibvirtWorkshop) -> None:
    driver, other = shop.new(), shop.new()
    spec = clone_spec(shop, "lab-a-11", make(shop, driver))
    seen = []
    monitored = driver._monitored  # type: ignore[attr-defined]

    def watch(operation: str, *words: object, **named: object) -> object:
        if operation in STEPS:
            seen.append((driver.running(), other.running(), spec.uuid in find_pids()))
        return monitored(operation, *words, **named)

    driver._monitored = watch  # type: ignore[attr-defined]
    driver.templates().clone(spec, NAME)
    assert seen == [((), (), True)] * (len(STEPS) - 1)
    assert states(other) == {"lab-a-11": MachineState.RUNNING}
