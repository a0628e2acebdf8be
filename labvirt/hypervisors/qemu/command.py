# SPDX-License-Identifier: MIT
"""QEMU's command line out of a LaunchSpec: pure, decides nothing, holds no secret.

Options that take structures get JSON; in the others every value is escaped. How the sandbox around it looks is in
sandbox.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from labvirt.contracts.hypervisor import HOME_LOGIN, USB_DEVICES, Drive, LaunchSpec
from labvirt.domain.extra_arguments import values_of
from labvirt.domain.profile import Bus, Firmware, Machine, Nic, Sound, Video
from labvirt.hypervisors.qemu import layout

PROGRAM = "qemu-system-x86_64"

QMP_DESCRIPTOR = 3
"""The listening QMP socket, made before QEMU starts: who connects waits for the greeting, and there is no moment in
which a process exists that nobody can reach.
"""
TAP_DESCRIPTOR = 4

MEMORY = "memory"
RAM_DESCRIPTOR = 4
"""A clone's instead: its network card comes when it has woken."""
SEAT_PORT = "seat"
"""Where a clone's network card is plugged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFile:
    """The guest's RAM is this file, as QEMU sees it. A template in the making writes it; a clone maps it, keeps what it writes for
    itself, and waits for its device state."""

    path: str
    clone: bool


HYPERV = (
    "hv_relaxed,hv_vapic,hv_spinlocks=0x1fff,hv_vpindex,hv_runtime,hv_synic,hv_time,hv_stimer,hv_frequencies,hv_reset,hv_tlbflush,hv_ipi"
)
"""What Windows is offered under KVM (docs/system/i386/hyperv.rst): all that every processor and each kernel from 5.0 on has. KVM makes
these; under TCG they are left out: QEMU ignores some without a word and refuses to start with the others.
"""

_NICS = {Nic.VIRTIO: "virtio-net-pci", Nic.E1000: "e1000", Nic.RTL8139: "rtl8139"}
_VIDEOS = {Video.STD: "VGA", Video.VIRTIO: "virtio-vga", Video.QXL: "qxl-vga"}


def render(spec: LaunchSpec, *, accelerator: str, memory: MemoryFile | None = None) -> tuple[str, ...]:
    """The argv of QEMU itself, with the paths that it sees. `accelerator` is 'kvm' or 'tcg'. `memory`: for templates and their clones,
    whose argv is the same but for who they are."""
    words = [PROGRAM]
    for option, value in _options(spec, accelerator, memory):
        words += [option, value] if value else [option]
    return tuple(words)


def _options(spec: LaunchSpec, accelerator: str, memory: MemoryFile | None) -> Iterator[tuple[str, str]]:
    yield "-name", _join(guest=spec.run.guest)
    yield "-uuid", str(spec.uuid)
    yield "-no-user-config", ""
    yield "-nodefaults", ""
    # docs/system/security.rst and qemu(1): no old calls, no other user, no program, no other priority.
    yield "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    yield "-msg", "timestamp=on"
    yield from _machine(spec, accelerator, memory)
    yield from _drives(spec)
    yield from _network(spec) if memory is None else _freezable(spec, memory)
    yield from _displays(spec)
    yield from _sound(spec)
    # Pointers with absolute coordinates: else the cursor of a console and that of the guest drift apart.
    yield "-device", "usb-ehci,id=usb"
    yield "-device", "usb-tablet,bus=usb.0"
    yield "-object", "rng-random,id=rng0,filename=/dev/urandom"
    yield "-device", "virtio-rng-pci,rng=rng0"
    yield "-device", "vmgenid,guid=auto"
    yield "-chardev", _join("socket", id="qmp", fd=QMP_DESCRIPTOR, server="on", wait="off")
    yield "-mon", "chardev=qmp,mode=control"
    # No logfile: QEMU would let a guest fill the disk through it.
    yield "-chardev", _socket("serial", layout.SERIAL_SOCKET)
    yield "-serial", "chardev:serial"
    yield from _channels(spec)
    if spec.tpm:
        yield "-chardev", _join("socket", id="tpm", fd=tpm_descriptor(spec))
        yield "-tpmdev", "emulator,id=tpm0,chardev=tpm"
        yield "-device", "tpm-crb,tpmdev=tpm0"
    # Last: what they need is there by now. `cpu` and `rtc` are part of the options above.
    for option in ("device", "global"):
        for value in values_of(spec.extra, option):
            yield f"-{option}", value


def told(spec: LaunchSpec, folder: str) -> Iterator[tuple[str, str]]:
    """What the guest reads in its firmware (docs/specs/fw_cfg.rst: names of ours are below opt/). `folder`: the run's, as QEMU sees it."""
    for name, text in spec.told:
        yield "-fw_cfg", _join(name=f"opt/labvirt/{name}", string=text)
    if spec.home_login:
        yield "-fw_cfg", _join(name=f"opt/labvirt/{HOME_LOGIN}", file=f"{folder}/{HOME_LOGIN}")


def tpm_descriptor(spec: LaunchSpec) -> int:
    """The line to the emulator of the TPM, connected before both processes exist."""
    return TAP_DESCRIPTOR + (spec.port is not None)


def _channels(spec: LaunchSpec) -> Iterator[tuple[str, str]]:
    """The lines to agents inside of the guest: qemu-guest-agent, and SPICE's (size of the screen, clipboard) where there is SPICE."""
    yield "-device", "virtio-serial-pci,id=channels"
    yield "-chardev", _socket("agent", layout.AGENT_SOCKET)
    yield "-device", "virtserialport,bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0"
    if spec.spice is not None:
        yield "-chardev", "spicevmc,id=vdagent,name=vdagent"
        yield "-device", "virtserialport,bus=channels.0,chardev=vdagent,name=com.redhat.spice.0"
        if spec.spice.usb:
            yield from _sticks()


def _sticks() -> Iterator[tuple[str, str]]:
    """What the viewer hands over arrives here. A controller of its own: EHCI beside the tablet takes neither old nor new devices."""
    yield "-device", "qemu-xhci,id=sticks"
    for number in range(USB_DEVICES):
        yield "-chardev", f"spicevmc,id=usbredir{number},name=usbredir"
        yield "-device", f"usb-redir,bus=sticks.0,id=stick{number},chardev=usbredir{number}"


def _socket(name: str, file: str) -> str:
    return _join("socket", id=name, path=f"{layout.GUEST}/{file}", server="on", wait="off")


def _processor(spec: LaunchSpec, accelerator: str) -> str:
    chosen = values_of(spec.extra, "cpu") or ("host" if accelerator == "kvm" else "max",)
    return ",".join((*chosen, *((HYPERV,) if spec.hyperv and accelerator == "kvm" else ())))


def _machine(spec: LaunchSpec, accelerator: str, memory: MemoryFile | None) -> Iterator[tuple[str, str]]:
    flash = {"pflash0": "uefi-code", "pflash1": "uefi-vars"} if spec.firmware is Firmware.UEFI else {}
    backend = {} if memory is None else {"memory-backend": MEMORY}
    yield "-machine", _join(spec.machine.value, accel=accelerator, vmport="off", **flash, **backend)
    yield "-cpu", _processor(spec, accelerator)
    yield "-smp", _join(str(spec.cpus), sockets=1, cores=spec.cpus, threads=1)
    yield "-m", _join(size=f"{spec.memory_mib}M")
    yield "-rtc", ",".join((_join(base=spec.clock.value), *values_of(spec.extra, "rtc")))
    yield from told(spec, layout.GUEST)
    yield "-smbios", _join(type=1, manufacturer="LabVirt", product=spec.machine.value, serial=spec.serial, uuid=spec.uuid)
    # A guest that puts itself to sleep looks broken to whoever sits there: neither S3 nor S4 is offered.
    chip = "ICH9-LPC" if spec.machine is Machine.Q35 else "PIIX4_PM"
    yield "-global", f"{chip}.disable_s3=1"
    yield "-global", f"{chip}.disable_s4=1"
    yield "-boot", "menu=off,strict=on"
    if flash:
        yield from _file("uefi-code", str(layout.UEFI_CODE), writable=False, format_="raw")
        yield from _file("uefi-vars", f"{layout.GUEST}/{layout.UEFI_VARIABLES}", writable=True, format_="raw")


def _file(node: str, path: str, *, writable: bool, format_: str, backing: str | None = None) -> Iterator[tuple[str, str]]:
    """A file and its format as two nodes; nothing is probed, and what the file says of its backing is not believed."""
    # Not 'auto': a file that cannot be opened for writing must fail here and not in the guest.
    flags: dict[str, object] = {"read-only": not writable, "auto-read-only": False}
    if writable:
        flags["discard"] = "unmap"  # what the guest frees is room on the host again
    yield "-blockdev", json.dumps({"driver": "file", "node-name": layout.file_node(node), "filename": path, **flags})
    top: dict[str, object] = {"driver": format_, "node-name": node, "file": layout.file_node(node), **flags}
    if format_ == "qcow2":
        top["backing"] = backing
    yield "-blockdev", json.dumps(top)


def _drives(spec: LaunchSpec) -> Iterator[tuple[str, str]]:
    buses = {drive.bus for drive in spec.drives}
    if Bus.SATA in buses and spec.machine is Machine.PC:  # q35 has one of its own, called ide
        yield "-device", "ich9-ahci,id=sata"
    if Bus.SCSI in buses:
        yield "-device", "virtio-scsi-pci,id=scsi"
    if any(drive.bus is Bus.VIRTIO and drive.cdrom for drive in spec.drives):
        yield "-device", "virtio-scsi-pci,id=cdroms"
    order = sorted(range(len(spec.drives)), key=lambda place: spec.drives[place].cdrom is not spec.boot_cdrom)
    for place, drive in enumerate(spec.drives):
        layers = layout.chain(spec, place)
        for depth in reversed(range(len(layers))):
            layer = layers[depth]
            below = layers[depth + 1].node if depth + 1 < len(layers) else None
            yield from _file(layer.node, layer.inside, writable=layer.writable, format_=layer.format, backing=below)
        # werror: a full disk of the host stops the guest, and it goes on when there is room; any other error is the
        # guest's.
        node = {"drive": layers[0].node} if layers else {}
        errors = {} if drive.cdrom else {"werror": "enospc", "rerror": "report"}
        yield "-device", _join(*_slot(drive, spec.machine), id=f"drive{place}", **node, bootindex=order.index(place), **errors)


def _slot(drive: Drive, machine: Machine) -> tuple[str, ...]:
    """Device and place on its bus."""
    kind = "cd" if drive.cdrom else "hd"
    if drive.bus is Bus.IDE:
        return f"ide-{kind}", f"bus=ide.{drive.index // 2}", f"unit={drive.index % 2}"
    if drive.bus is Bus.SATA:
        return f"ide-{kind}", f"bus={'ide' if machine is Machine.Q35 else 'sata'}.{drive.index}"
    if drive.bus is Bus.SCSI:
        return f"scsi-{kind}", "bus=scsi.0", f"scsi-id={drive.index}"
    if drive.cdrom:  # virtio-blk knows no removable medium; virtio's way to one is its SCSI controller
        return "scsi-cd", "bus=cdroms.0", f"scsi-id={drive.index}"
    return ("virtio-blk-pci",)


def _network(spec: LaunchSpec) -> Iterator[tuple[str, str]]:
    if spec.port is None:
        return
    yield "-netdev", _join("tap", id="net0", fd=TAP_DESCRIPTOR)
    # No option ROM: a seat boots from its disk or says why not, and never from whoever answers on the network.
    yield "-device", _join(_NICS[spec.port.model], netdev="net0", id="nic0", mac=spec.port.mac, romfile="")


def _freezable(spec: LaunchSpec, memory: MemoryFile) -> Iterator[tuple[str, str]]:
    """What a machine that is frozen, or that wakes, has instead of a network card."""
    # Not readonly=on: before QEMU 8.2 the guest could then not write either. The file itself is sealed (system/sealed_memory.py).
    share = "off" if memory.clone else "on"
    yield "-object", _join("memory-backend-file", **{"id": MEMORY, "size": f"{spec.memory_mib}M", "mem-path": memory.path, "share": share})
    if spec.machine is Machine.Q35:  # the old machine takes new cards on its only bus
        yield "-device", _join("pcie-root-port", id=SEAT_PORT, chassis=1)
    if memory.clone:
        yield "-incoming", "defer"
        yield "-S", ""


def seat_bus(spec: LaunchSpec) -> str:
    """The bus that takes the network card of a clone."""
    return SEAT_PORT if spec.machine is Machine.Q35 else "pci.0"


def nic(model: Nic) -> str:
    """QEMU's name of the device."""
    return _NICS[model]


def _displays(spec: LaunchSpec) -> Iterator[tuple[str, str]]:
    yield "-display", "none"
    yield "-vnc", f"unix:{layout.GUEST}/{layout.VNC_SOCKET}"
    yield "-device", _join(_VIDEOS[spec.video], id="video0")
    if spec.spice is None:
        return
    yield (
        "-spice",
        _join(
            **{
                "addr": spec.spice.address,
                "tls-port": spec.spice.tls_port,
                "x509-dir": f"{layout.GUEST}/{layout.TLS}",
                "tls-channel": "default",
                # Without a password set over QMP, SPICE refuses everybody.
                "disable-ticketing": "off",
                "disable-agent-file-xfer": "on",
                "seamless-migration": "off",
            }
        ),
    )


def _sound(spec: LaunchSpec) -> Iterator[tuple[str, str]]:
    if spec.sound is Sound.NONE:
        return
    yield "-audiodev", _join("spice" if spec.spice else "none", id="sound0")
    if spec.sound is Sound.HDA:
        yield "-device", "intel-hda,id=hda0"
        yield "-device", "hda-duplex,bus=hda0.0,audiodev=sound0"
    else:
        yield "-device", "AC97,audiodev=sound0"


def _join(*words: str, **values: object) -> str:
    """QEMU's option syntax: a comma in a value is written twice."""
    named = [f"{name}={str(value).replace(',', ',,')}" for name, value in values.items()]
    return ",".join([*words, *named])
