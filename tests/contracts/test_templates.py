# SPDX-License-Identifier: MIT
"""What every hypervisor that can clone promises of templates (contracts.templates), over each; the others say that they cannot.

The machines here have no system inside: what a clone knows of itself is in test_qemu_clones.py.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from labvirt.contracts.hypervisor import Capability, EventKind, Hypervisor, LaunchSpec, MachineState, NetworkPort
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.image import DiskChoice
from labvirt.domain.profile import Firmware, Nic
from labvirt.domain.template import TemplateName, stale_because
from labvirt.errors import AlreadyExists, HypervisorError, TemplateUnfit, Unsupported
from labvirt.hypervisors.template_manifest import parse
from tests.contracts.workshop import Workshop, states

NAME = TemplateName("desktop", 1)
DISKS = (DiskChoice(place=0, image="debian", version=12),)
FILES = ("ram", "state", "disk-0.qcow2", "manifest.json")


@pytest.fixture
def cloning(workshop: Workshop) -> Workshop:
    """Those that can."""
    if Capability.INSTANT_CLONE not in workshop.new().capabilities().capabilities:
        pytest.skip("it cannot clone, and says so")
    return workshop


@dataclass(frozen=True)
class Bench:
    """A template in the workshop, and specs that stand on it."""

    workshop: Workshop
    driver: Hypervisor
    kept: KeptTemplate

    def spec(self, guest: str = "lab-a-01", **changes: Any) -> LaunchSpec:
        return clone_spec(self.workshop, guest, self.kept, **changes)

    @property
    def folder(self) -> Path:
        return self.kept.disks[0].path.parent


def clone_spec(workshop: Workshop, guest: str, kept: KeptTemplate, **changes: Any) -> LaunchSpec:
    """As Workshop.spec, its overlay on the template's disk."""
    spec = workshop.spec(guest, **changes)
    drive = spec.drives[0]
    overlay, *below = drive.chain
    if workshop.real:
        argv = ("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(kept.disks[0].path), "-F", "qcow2", str(overlay.path))
        subprocess.run(argv, check=True, timeout=60)
    return replace(spec, drives=(replace(drive, chain=(overlay, kept.disks[0], *below)), *spec.drives[1:]))


def make(workshop: Workshop, driver: Hypervisor, name: TemplateName = NAME, **changes: Any) -> KeptTemplate:
    spec = workshop.spec(f"lab-a-s{15 - name.number}", **changes)
    if not workshop.real:
        spec.drives[0].chain[0].path.write_bytes(b"what it has written")
    driver.templates().prepare(spec)
    return driver.templates().freeze(spec.run, name, DISKS)


@pytest.fixture
def bench(cloning: Workshop) -> Bench:
    driver = cloning.new()
    return Bench(cloning, driver, make(cloning, driver))


def test_who_cannot_clone_says_so(workshop: Workshop) -> None:
    driver = workshop.new()
    if Capability.INSTANT_CLONE in driver.capabilities().capabilities:
        assert driver.templates().kept() == ()
    else:
        with pytest.raises(Unsupported, match="instant clones"):
            driver.templates()
        assert driver.start(workshop.spec()).state is MachineState.RUNNING


def test_a_frozen_run_has_ended_and_is_a_template(cloning: Workshop) -> None:
    driver = cloning.new()
    heard = cloning.heard(driver)
    spec, other = cloning.spec("lab-a-s01"), cloning.spec("lab-a-02")
    driver.start(other)
    assert driver.templates().prepare(spec).state is MachineState.RUNNING
    kept = driver.templates().freeze(spec.run, NAME, DISKS)
    heard.wait(spec.run, EventKind.ENDED)
    assert states(driver) == {"lab-a-02": MachineState.RUNNING}
    made = kept.template.made_from
    assert (kept.template.name, made.disks, made.ground) == (NAME, DISKS, driver.templates().ground())
    assert made.machine == driver.templates().machine(spec)
    assert stale_because(kept.template, made) == ""
    assert kept.disk_bytes > 0
    assert kept.memory_bytes == 0
    assert driver.templates().kept() == (kept,)
    assert cloning.new().templates().kept() == (kept,)
    folder = kept.disks[0].path.parent
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(FILES, 0o444)
    assert list((folder.parent / ".stage").glob("[!.]*")) == []


def test_clones_run_beside_each_other_and_leave_the_template_as_it_is(bench: Bench) -> None:
    before = {name: (bench.folder / name).read_bytes() for name in FILES}
    specs = [bench.spec(f"lab-a-0{number}") for number in (1, 2, 3)]
    for spec in specs:
        status = bench.driver.templates().clone(spec, NAME)
        assert (status.run, status.uuid, status.state) == (spec.run, spec.uuid, MachineState.RUNNING)
        assert status.memory_mib == spec.memory_mib
    assert len({status.pid for status in bench.driver.running()}) == 3
    assert bench.driver.templates().clone(specs[0], NAME).run == specs[0].run
    assert len(bench.driver.running()) == 3
    (kept,) = bench.driver.templates().kept()
    assert kept.memory_bytes > 0
    bench.driver.stop(specs[1].run, StopHow.STOP)
    assert set(states(bench.driver)) == {"lab-a-01", "lab-a-03"}
    assert {name: (bench.folder / name).read_bytes() for name in FILES} == before


def test_a_clone_is_a_run_like_any_other(bench: Bench) -> None:
    spec = bench.spec()
    pid = bench.driver.templates().clone(spec, NAME).pid
    bench.driver.close()
    second = bench.workshop.new()
    heard = bench.workshop.heard(second)
    (found,) = second.running()
    assert (found.run, found.pid, found.state) == (spec.run, pid, MachineState.RUNNING)
    second.pause(spec.run)
    assert states(second)["lab-a-01"] is MachineState.PAUSED
    second.resume(spec.run)
    second.reset(spec.run)
    heard.wait(spec.run, EventKind.RESET)
    assert second.screenshot(spec.run)
    bench.workshop.crash(second, spec.run)
    heard.wait(spec.run, EventKind.ENDED)
    assert second.running() == ()


def test_only_a_prepared_run_is_frozen(cloning: Workshop) -> None:
    driver = cloning.new()
    spec = cloning.spec()
    driver.start(spec)
    with pytest.raises(HypervisorError, match="ordinary guest"):
        driver.templates().freeze(spec.run, NAME, DISKS)
    assert states(driver) == {"lab-a-01": MachineState.RUNNING}
    with pytest.raises(HypervisorError, match="does not run"):
        driver.templates().freeze(RunId("lab-a-09", 1), NAME, DISKS)
    assert driver.templates().kept() == ()
    assert make(cloning, driver).template.name == NAME


def test_what_cannot_be_cloned_is_not_prepared(cloning: Workshop) -> None:
    driver = cloning.new()
    spec = cloning.spec("lab-a-s01")
    port = NetworkPort(tap=InterfaceName("lvtfff001"), mac=MacAddress(0x024C56FFF001), model=Nic.VIRTIO)
    for changed in (
        replace(spec, port=port),
        replace(spec, tpm=True),
        replace(spec, firmware=Firmware.UEFI),
        replace(spec, home_login=True),
    ):
        with pytest.raises(Unsupported):
            driver.templates().prepare(changed)
    assert driver.running() == ()
    assert driver.templates().prepare(spec).state is MachineState.RUNNING


def _truncate(name: str) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        (folder / name).chmod(0o644)
        os.truncate(folder / name, 10)

    return cut


def _change(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).chmod(0o644)
        with (folder / name).open("r+b") as file:
            byte = file.read(1)
            file.seek(0)
            file.write(bytes((byte[0] ^ 1,)))

    return change


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _remove_all(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _other_hypervisor(folder: Path) -> None:
    """What an upgrade of the host leaves: a whole template that another version has made."""
    manifest = parse((folder / "manifest.json").read_bytes(), NAME)
    made = manifest.template.made_from
    older = replace(made, ground=replace(made.ground, hypervisor="qemu 6.9"))
    (folder / "manifest.json").chmod(0o644)
    (folder / "manifest.json").write_text(replace(manifest, template=replace(manifest.template, made_from=older)).render())


def _other_words(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").chmod(0o644)
    (folder / "manifest.json").write_text(json.dumps(json.loads(text) | {"machine": "0" * 64}))


ACCIDENTS = {
    "gone": (_remove_all, "not on this host"),
    "no-ram": (_remove("ram"), "ram is missing"),
    "no-state": (_remove("state"), "state is missing"),
    "no-disk": (_remove("disk-0.qcow2"), r"disk-0\.qcow2 is missing"),
    "no-manifest": (_remove("manifest.json"), "not on this host"),
    "short-ram": (_truncate("ram"), "ram has 10 bytes instead of"),
    "short-state": (_truncate("state"), "state has 10 bytes instead of"),
    "short-manifest": (_truncate("manifest.json"), "manifest cannot be read"),
    "changed-ram": (_change("ram"), "ram is not what it was"),
    "changed-state": (_change("state"), "state is not what it was"),
    "changed-disk": (_change("disk-0.qcow2"), "is not what it was"),
    "changed-manifest": (_other_words, "manifest is not what it was"),
    "other-hypervisor": (_other_hypervisor, r"made by qemu 6\.9"),
}


@pytest.mark.parametrize("in_use", [False, True], ids=["unused", "in-use"])
@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_unfit_template_says_why_and_a_cold_start_is_fine(bench: Bench, accident: str, in_use: bool) -> None:
    happens, why = ACCIDENTS[accident]
    templates = bench.driver.templates()
    older, spec = bench.spec("lab-a-02"), bench.spec()
    if in_use:
        templates.clone(older, NAME)
    happens(bench.folder)
    with pytest.raises(TemplateUnfit, match=why) as refused:
        templates.clone(spec, NAME)
    assert refused.value.hint
    lost = accident in ("no-manifest", "short-manifest", "changed-manifest")
    assert templates.damaged() == ((NAME,) if lost else ())
    assert [each.template.name for each in templates.kept()] == ([] if lost or accident == "gone" else [NAME])
    assert set(states(bench.driver)) == ({"lab-a-02"} if in_use else set())
    templates.remove(NAME)
    assert templates.kept() == ()
    assert not bench.folder.exists()
    cold = bench.workshop.spec(generation=2)
    assert bench.driver.start(cold).state is MachineState.RUNNING
    assert set(states(bench.driver)) == {"lab-a-01"} | ({"lab-a-02"} if in_use else set())


def test_another_machine_does_not_start_from_it(bench: Bench) -> None:
    templates = bench.driver.templates()
    with pytest.raises(TemplateUnfit, match="machine of its profile has changed"):
        templates.clone(bench.spec(memory_mib=96), NAME)
    with pytest.raises(TemplateUnfit, match="machine of its profile has changed"):
        templates.clone(bench.spec("lab-a-02", cpus=2), NAME)
    assert bench.driver.running() == ()
    assert templates.clone(bench.spec("lab-a-03"), NAME).state is MachineState.RUNNING


def test_the_machine_is_the_same_whoever_the_guest_is(cloning: Workshop) -> None:
    templates = cloning.new().templates()
    one, other = cloning.spec("lab-a-01", told=(("home", "nfs://a"),)), cloning.spec("lab-a-02", generation=7, told=(("home", "smb://b"),))
    assert one.uuid != other.uuid
    assert templates.machine(one) == templates.machine(other)
    for changed in (replace(one, told=()), replace(one, memory_mib=65), replace(one, extra=("device=usb-kbd",)), replace(one, drives=())):
        assert templates.machine(changed) != templates.machine(one)


def test_a_name_is_used_once(bench: Bench) -> None:
    spec = bench.workshop.spec("lab-a-s01")
    templates = bench.driver.templates()
    templates.prepare(spec)
    with pytest.raises(AlreadyExists):
        templates.freeze(spec.run, NAME, DISKS)
    assert [kept.template.name for kept in templates.kept()] == [NAME]
    if spec.run in {status.run for status in bench.driver.running()}:
        templates.freeze(spec.run, TemplateName("desktop", 2), DISKS)
        assert len(templates.kept()) == 2


def test_a_removed_template_takes_no_clone_with_it(bench: Bench) -> None:
    templates = bench.driver.templates()
    spec = bench.spec()
    templates.clone(spec, NAME)
    templates.remove(NAME)
    templates.remove(NAME)
    assert templates.kept() == ()
    assert states(bench.driver) == {"lab-a-01": MachineState.RUNNING}
    bench.driver.close()
    assert states(bench.workshop.new()) == {"lab-a-01": MachineState.RUNNING}


def test_two_templates_are_told_apart(bench: Bench) -> None:
    second = make(bench.workshop, bench.driver, TemplateName("desktop", 2), memory_mib=96)
    assert [kept.template.name.number for kept in bench.driver.templates().kept()] == [1, 2]
    spec = clone_spec(bench.workshop, "lab-a-01", second, memory_mib=96)
    assert bench.driver.templates().clone(spec, second.template.name).memory_mib == 96
    with pytest.raises(ValueError, match="do not stand on"):
        bench.driver.templates().clone(clone_spec(bench.workshop, "lab-a-02", second), NAME)


def test_what_a_killed_build_has_left_is_cleared(bench: Bench) -> None:
    left = bench.folder.parent / ".stage" / "desktop.t9-0badcafe"
    left.mkdir()
    (left / "ram").write_bytes(b"half")
    (bench.folder.parent / "lost+found").mkdir()
    assert bench.driver.templates().kept() == (bench.kept,)
    assert not left.exists()
