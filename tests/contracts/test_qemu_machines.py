# SPDX-License-Identifier: MIT
"""Every kind of machine a profile may ask for is one that QEMU really makes: the judge of the golden command lines."""

from __future__ import annotations

import pytest

from labvirt.contracts.hypervisor import DiskLayer, Drive, MachineState
from labvirt.domain.guest import StopHow
from labvirt.domain.profile import Bus, Clock, Firmware, Machine, Sound, Video
from tests.contracts.workshop import Workshop

pytestmark = pytest.mark.real


@pytest.mark.parametrize("machine", list(Machine))
@pytest.mark.parametrize("bus", list(Bus))
def test_every_bus_takes_its_disks_and_drives(qemu: Workshop, machine: Machine, bus: Bus) -> None:
    if bus is Bus.IDE and machine is Machine.Q35:
        pytest.skip("q35 has no IDE bus: profiles refuse it")
    driver = qemu.new()
    spec = qemu.spec(machine=machine)
    disc = DiskLayer(path=qemu.folder / "disc.iso", format="raw")
    disc.path.write_bytes(bytes(1 << 20))
    drives = (
        Drive(bus=bus, index=0, chain=spec.drives[0].chain),
        Drive(bus=bus, index=1, cdrom=True, chain=(disc,)),
        Drive(bus=bus, index=3, cdrom=True),
    )
    changed = type(spec)(**{name: getattr(spec, name) for name in spec.__slots__} | {"drives": drives})
    assert driver.start(changed).state is MachineState.RUNNING
    driver.stop(spec.run, StopHow.KILL)


@pytest.mark.parametrize(
    "changes",
    [
        {"firmware": Firmware.UEFI},
        {"firmware": Firmware.UEFI, "machine": Machine.PC},
        {"sound": Sound.HDA, "video": Video.QXL, "clock": Clock.LOCALTIME},
        {"sound": Sound.AC97, "video": Video.VIRTIO, "machine": Machine.PC, "cpus": 2},
        {"video": Video.QXL, "machine": Machine.PC, "boot_cdrom": True},
    ],
    ids=lambda changes: "-".join(str(value) for value in changes.values()),
)
def test_every_device_is_one_that_exists(qemu: Workshop, changes: dict[str, object]) -> None:
    driver = qemu.new()
    spec = qemu.spec(**changes)
    assert driver.start(spec).state is MachineState.RUNNING
    assert driver.screenshot(spec.run)
