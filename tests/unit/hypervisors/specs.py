# SPDX-License-Identifier: MIT
"""Launch specs that show every option of a command line, by the name of their golden file."""

from __future__ import annotations

import uuid
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer, Drive, LaunchSpec, NetworkPort, SpiceDisplay
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import RunId
from labvirt.domain.profile import Bus, Clock, Firmware, Machine, Nic, Sound, Video

FOLDER = Path("/var/lib/labvirt/runs/lab-a-07.g3")
STORE = Path("/var/lib/labvirt/images")


def _disk(bus: Bus, index: int, place: int, *images: str) -> Drive:
    layers = (FOLDER / f"overlay-{place}.qcow2", *(STORE / image for image in images))
    return Drive(bus=bus, index=index, chain=tuple(DiskLayer(path=p, format=p.suffix[1:]) for p in layers))


DESKTOP = LaunchSpec(
    run=RunId("lab-a-07", 3),
    folder=FOLDER,
    uuid=uuid.UUID("0c8f2a34-6d1b-5c0e-9d50-111213141516"),
    serial="lab-a-07",
    memory_mib=2048,
    cpus=2,
    firmware=Firmware.BIOS,
    machine=Machine.Q35,
    clock=Clock.UTC,
    drives=(_disk(Bus.VIRTIO, 0, 0, "debian/v12.qcow2"),),
    port=NetworkPort(tap=InterfaceName("lvt001007"), mac=MacAddress(0x024C56001007), model=Nic.VIRTIO),
    spice=SpiceDisplay(address=IPv4Address("10.77.0.1"), tls_port=20007, tls=FOLDER / "tls", usb=True),
    video=Video.QXL,
    sound=Sound.HDA,
    uid=536875015,
    told=(("forgets", "Your home folder is kept on files.lab, and nowhere else."), ("home", "nfs://files.lab/homes/lab-a/7")),
)

SPECS = {
    "desktop": DESKTOP,
    "windows": replace(
        DESKTOP,
        firmware=Firmware.UEFI,
        clock=Clock.LOCALTIME,
        drives=(
            _disk(Bus.SATA, 0, 0, "windows/v3.qcow2", "windows/v2.qcow2"),
            _disk(Bus.SATA, 1, 1, "course/v1.raw"),
            Drive(bus=Bus.SATA, index=2, cdrom=True, chain=(DiskLayer(path=STORE / "drivers,1.iso", format="raw"),)),
        ),
        port=NetworkPort(tap=InterfaceName("lvt001007"), mac=MacAddress(0x024C56001007), model=Nic.E1000),
        spice=None,
        video=Video.VIRTIO,
        overlay_cap_bytes=8 << 30,
        told=(("home", "smb://files.lab/homes/7"),),
        home_login=True,
        hyperv=True,
        tpm=True,
        extra=("rtc=driftfix=slew", "global=kvm-pit.lost_tick_policy=discard"),
    ),
    "old": replace(
        DESKTOP,
        machine=Machine.PC,
        cpus=1,
        drives=(
            _disk(Bus.IDE, 0, 0, "old/v1.qcow2"),
            Drive(bus=Bus.IDE, index=2, cdrom=True),
            _disk(Bus.SATA, 0, 2, "old/v1.qcow2"),
        ),
        port=NetworkPort(tap=InterfaceName("lvt001007"), mac=MacAddress(0x024C56001007), model=Nic.RTL8139),
        video=Video.STD,
        sound=Sound.AC97,
        boot_cdrom=True,
        told=(),
    ),
    "many-disks": replace(
        DESKTOP,
        drives=(
            _disk(Bus.SCSI, 0, 0, "a/v1.qcow2"),
            _disk(Bus.SCSI, 5, 1, "b/v1.qcow2"),
            Drive(bus=Bus.SCSI, index=6, cdrom=True),
            Drive(bus=Bus.VIRTIO, index=0, cdrom=True),
        ),
        port=None,
        spice=None,
        sound=Sound.NONE,
        video=Video.STD,
        uid=None,
        hyperv=True,
        tpm=True,
        extra=("cpu=qemu64,+ssse3", "device=usb-kbd,port=2"),
    ),
}
