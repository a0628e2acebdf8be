# SPDX-License-Identifier: MIT
"""LaunchSpec -> libvirt domain XML, and back to the marks that say whose domain it is. Pure; decides nothing, probes nothing.

Built as a tree, so no value can become markup. Judged in tests by libvirt's own schema. SPICE goes to QEMU's command line: libvirt's
element knows one certificate folder per host (qemu.conf), and lets everybody in as long as no password was set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from labvirt.contracts.hypervisor import (
    AGENT_SOCKET,
    HOME_LOGIN,
    SERIAL_SOCKET,
    USB_DEVICES,
    DiskLayer,
    Drive,
    LaunchSpec,
    NetworkPort,
    SpiceDisplay,
)
from labvirt.domain.extra_arguments import values_of
from labvirt.domain.guest import RunId
from labvirt.domain.profile import Bus, Firmware, Machine, Nic, Sound, Video
from labvirt.errors import HypervisorError, InvalidInput
from labvirt.hypervisors.libvirt.memory_file import MemoryFile, arguments

MARK = "urn:labvirt:run"
"""Namespace of our element in <metadata>: which run of which controller a domain is."""
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"

UEFI_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
UEFI_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""Debian's package ovmf."""

_TARGETS = {Bus.IDE: "hd", Bus.SATA: "sd", Bus.SCSI: "sd", Bus.VIRTIO: "vd"}
_NICS = {Nic.VIRTIO: "virtio", Nic.E1000: "e1000", Nic.RTL8139: "rtl8139"}
_SOUNDS = {Sound.HDA: "ich6", Sound.AC97: "ac97"}
_SPICE_SOUNDS: dict[Sound, tuple[dict[str, str], ...]] = {
    Sound.HDA: (
        {"driver": "intel-hda", "id": "lv-hda"},
        {"driver": "hda-duplex", "bus": "lv-hda.0", "audiodev": "lv-sound"},
    ),
    Sound.AC97: ({"driver": "AC97", "audiodev": "lv-sound"},),
}
_VIDEOS = {Video.STD: "vga", Video.VIRTIO: "virtio", Video.QXL: "qxl"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Whose domain it is. `owner` is the controller's id; `started` is text, for people."""

    run: RunId
    owner: str
    started: str = ""
    cap_bytes: int | None = None
    """How far its overlays may grow."""
    overlays: tuple[str, ...] = ()
    """libvirt's names of the disks that are written ('vda'), where somebody must know them."""
    machine: str = ""
    """It can be frozen, and this is the digest of its shape."""
    waker: str = ""
    """It is a clone, and this one wakes it (wakers.py)."""

    def attributes(self) -> dict[str, str]:
        """As `parse_mark` reads them."""
        found = {"started": self.started, "cap": "" if self.cap_bytes is None else str(self.cap_bytes)}
        found |= {"overlays": " ".join(self.overlays), "machine": self.machine, "waker": self.waker}
        return {"id": str(self.run), "owner": self.owner, **{name: value for name, value in found.items() if value}}


def render(
    spec: LaunchSpec,
    *,
    owner: str,
    accelerator: str,
    started: str = "",
    memory: MemoryFile | None = None,
    machine: str = "",
    waker: str = "",
) -> str:
    """The domain of one run, transient, to be created as it is. `accelerator` is 'kvm' or 'tcg'.

    `memory`: for templates (with `machine`, the digest of their shape) and their clones (with `waker`), whose domains are the same but for
    who they are, and have no network card yet.
    """
    ElementTree.register_namespace("labvirt", MARK)
    ElementTree.register_namespace("qemu", _QEMU)
    domain = Element("domain", type="kvm" if accelerator == "kvm" else "qemu")
    _text(domain, "name", str(spec.run))
    _text(domain, "uuid", str(spec.uuid))
    written = tuple(target for drive, target in _targets(spec) if drive.chain and not drive.cdrom)
    mark = Mark(
        run=spec.run,
        owner=owner,
        started=started,
        cap_bytes=spec.overlay_cap_bytes,
        overlays=() if spec.overlay_cap_bytes is None and not machine else written,
        machine=machine,
        waker=waker,
    )
    SubElement(SubElement(domain, "metadata"), f"{{{MARK}}}run", mark.attributes())
    SubElement(domain, "genid")  # empty: libvirt draws a new one for each start, and the guest's kernel reseeds itself
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.cpus))
    sysinfo = SubElement(domain, "sysinfo", type="smbios")
    system = SubElement(sysinfo, "system")
    for name, value in (("manufacturer", "LabVirt"), ("product", spec.machine.value), ("serial", spec.serial)):
        _text(system, "entry", value, name=name)
    _os(domain, spec)
    features = SubElement(domain, "features")
    SubElement(features, "acpi")
    SubElement(features, "apic")
    SubElement(features, "vmport", state="off")
    if spec.hyperv and accelerator == "kvm":  # TCG has none of this
        _hyperv(features)
    cpu = SubElement(domain, "cpu", mode="host-passthrough" if accelerator == "kvm" else "maximum")
    # One socket: desktop editions of Windows use no more than two.
    SubElement(cpu, "topology", sockets="1", dies="1", cores=str(spec.cpus), threads="1")
    clock = SubElement(domain, "clock", offset=str(spec.clock))
    if spec.hyperv and accelerator == "kvm":
        SubElement(clock, "timer", name="hypervclock", present="yes")
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    _text(domain, "on_crash", "destroy")
    power = SubElement(domain, "pm")  # a guest that puts itself to sleep looks broken to whoever sits there
    SubElement(power, "suspend-to-mem", enabled="no")
    SubElement(power, "suspend-to-disk", enabled="no")
    _devices(SubElement(domain, "devices"), spec if memory is None else replace(spec, port=None))
    if spec.uid is not None:
        label = SubElement(domain, "seclabel", type="static", model="dac", relabel="no")
        _text(label, "label", f"+{spec.uid}:+{spec.uid}")
    spice = _spice(spec.spice, spec.sound) if spec.spice is not None else ()
    own_memory = arguments(memory, spec.memory_mib) if memory is not None else ()
    _commandline(domain, [*_extra(spec), *spice, *_told(spec), *own_memory])
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode") + "\n"


def parse_mark(metadata: str) -> Mark | None:
    """The mark in what virDomainGetMetadata gave for the namespace MARK; None if it is not one of ours."""
    try:
        element = ElementTree.fromstring(metadata)  # noqa: S314 - libvirtd parsed and wrote it again; no entities survive
        cap = element.get("cap")
        return Mark(
            run=RunId.parse(element.attrib["id"]),
            owner=element.attrib["owner"],
            started=element.get("started", ""),
            cap_bytes=None if cap is None else int(cap),
            overlays=tuple(element.get("overlays", "").split()),
            machine=element.get("machine", ""),
            waker=element.get("waker", ""),
        )
    except (ElementTree.ParseError, KeyError, ValueError, InvalidInput):
        return None


def render_mark(mark: Mark) -> str:
    """For virDomainSetMetadata, which names its namespace itself."""
    return ElementTree.tostring(Element("run", mark.attributes()), encoding="unicode")


def render_port(port: NetworkPort) -> str:
    """The network card alone, to be plugged in."""
    devices = Element("devices")
    _port(devices, port)
    return ElementTree.tostring(devices[0], encoding="unicode")


def disk_files(xml: str) -> dict[str, Path]:
    """libvirt's names of the disks in a domain's XML, with their files."""
    found = {}
    for disk in ElementTree.fromstring(xml).iterfind("./devices/disk"):  # noqa: S314 - libvirtd wrote it
        target, source = disk.find("target"), disk.find("source")
        if target is not None and source is not None:
            found[target.attrib["dev"]] = Path(source.attrib["file"])
    return found


def vnc_socket(folder: Path) -> Path:
    return folder / "vnc.sock"


def serial_socket(folder: Path) -> Path:
    return folder / SERIAL_SOCKET


def serial_path(xml: str) -> Path:
    """The socket of the first serial line in a domain's XML. Raises HypervisorError."""
    source = ElementTree.fromstring(xml).find("./devices/serial[@type='unix']/source")  # noqa: S314 - libvirtd wrote it
    if source is None:
        raise HypervisorError("This domain has no serial line of ours.", operation="console")
    return Path(source.attrib["path"])


def agent_socket(folder: Path) -> Path:
    return folder / AGENT_SOCKET


def uefi_variables(folder: Path) -> Path:
    return folder / "uefi-vars.fd"


def _text(parent: Element, element_name: str, text: str, /, **attributes: str) -> Element:
    element = SubElement(parent, element_name, attributes)
    element.text = text
    return element


def _os(domain: Element, spec: LaunchSpec) -> None:
    os = SubElement(domain, "os")
    _text(os, "type", "hvm", arch="x86_64", machine="q35" if spec.machine is Machine.Q35 else "pc")
    if spec.firmware is Firmware.UEFI:
        _text(os, "loader", str(UEFI_CODE), readonly="yes", type="pflash")
        _text(os, "nvram", str(uefi_variables(spec.folder)))  # exists: libvirt would make it as a user of its own choice
    SubElement(os, "smbios", mode="sysinfo")


def _devices(devices: Element, spec: LaunchSpec) -> None:
    first = next((drive for drive in spec.drives if drive.cdrom == spec.boot_cdrom), None)
    for drive, target in _targets(spec):
        _drive(devices, drive, target, boots=drive is first)
    for controller in sorted({_SCSI[drive.bus] for drive in spec.drives if _is_scsi(drive)}):
        SubElement(devices, "controller", type="scsi", index=controller, model="virtio-scsi")
    SubElement(devices, "controller", type="usb", index="0", model="ehci")
    if spec.port is not None:
        _port(devices, spec.port)
    serial = SubElement(devices, "serial", type="unix")
    SubElement(serial, "source", mode="bind", path=str(serial_socket(spec.folder)))
    SubElement(SubElement(serial, "target", type="isa-serial", port="0"), "model", name="isa-serial")
    SubElement(devices, "controller", type="virtio-serial", index="0")
    channel = SubElement(devices, "channel", type="unix")
    SubElement(channel, "source", mode="bind", path=str(agent_socket(spec.folder)))
    SubElement(channel, "target", type="virtio", name="org.qemu.guest_agent.0")
    SubElement(devices, "input", type="tablet", bus="usb")
    graphics = SubElement(devices, "graphics", type="vnc")
    SubElement(graphics, "listen", type="socket", socket=str(vnc_socket(spec.folder)))
    if spec.sound is not Sound.NONE and spec.spice is None:
        SubElement(devices, "sound", model=_SOUNDS[spec.sound])
        SubElement(devices, "audio", id="1", type="none")
    SubElement(SubElement(devices, "video"), "model", type=_VIDEOS[spec.video], heads="1", primary="yes")
    SubElement(devices, "memballoon", model="none")
    rng = SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")


def _targets(spec: LaunchSpec) -> Iterator[tuple[Drive, str]]:
    """Each drive with libvirt's name for it."""
    letters: dict[str, int] = {}
    for drive in spec.drives:
        prefix = "sd" if _is_scsi(drive) else _TARGETS[drive.bus]
        number = letters.get(prefix, 0)
        letters[prefix] = number + 1
        yield drive, f"{prefix}{chr(ord('a') + number)}"


def _hyperv(features: Element) -> None:
    """The same as the driver qemu offers (hypervisors/qemu/command.py)."""
    hyperv = SubElement(features, "hyperv", mode="custom")
    for name in ("relaxed", "vapic", "spinlocks", "vpindex", "runtime", "synic", "stimer", "reset", "frequencies", "tlbflush", "ipi"):
        SubElement(hyperv, name, {"state": "on", **({"retries": "8191"} if name == "spinlocks" else {})})


_SCSI = {Bus.SCSI: "0", Bus.VIRTIO: "1"}
"""Bus -> our SCSI controller. virtio-blk knows no removable medium: virtio's way to one is a SCSI controller of its own."""


def _is_scsi(drive: Drive) -> bool:
    return drive.bus is Bus.SCSI or (drive.bus is Bus.VIRTIO and drive.cdrom)


def _drive(devices: Element, drive: Drive, target: str, *, boots: bool) -> None:
    disk = SubElement(devices, "disk", type="file", device="cdrom" if drive.cdrom else "disk")
    if drive.chain:
        driver = SubElement(disk, "driver", name="qemu", type=drive.chain[0].format)
        if not drive.cdrom:
            # A full disk of the host stops the guest, and it goes on when there is room; any other error is the guest's.
            driver.attrib.update(error_policy="enospace", rerror_policy="report", discard="unmap")
        SubElement(disk, "source", file=str(drive.chain[0].path))
        if not drive.cdrom:
            _backing(disk, drive.chain[1:])
    else:
        SubElement(disk, "driver", name="qemu", type="raw")
    SubElement(disk, "target", dev=target, bus="scsi" if _is_scsi(drive) else str(drive.bus))
    if drive.cdrom:
        SubElement(disk, "readonly")
    if boots:
        SubElement(disk, "boot", order="1")
    place = {"controller": "0", "bus": "0", "target": "0", "unit": "0"}
    if _is_scsi(drive):
        place |= {"controller": _SCSI[drive.bus], "target": str(drive.index)}
    elif drive.bus is Bus.SATA:
        place |= {"unit": str(drive.index)}
    elif drive.bus is Bus.IDE:  # two channels of two
        place |= {"bus": str(drive.index // 2), "unit": str(drive.index % 2)}
    else:
        return
    SubElement(disk, "address", {"type": "drive", **place})


def _backing(parent: Element, chain: tuple[DiskLayer, ...]) -> None:
    """The whole chain with its formats; the empty element at its end keeps libvirt and QEMU from looking further."""
    if not chain:
        SubElement(parent, "backingStore")
        return
    backing = SubElement(parent, "backingStore", type="file")
    SubElement(backing, "format", type=chain[0].format)
    SubElement(backing, "source", file=str(chain[0].path))
    _backing(backing, chain[1:])


def _port(devices: Element, port: NetworkPort) -> None:
    interface = SubElement(devices, "interface", type="ethernet")
    SubElement(interface, "mac", address=str(port.mac))
    SubElement(interface, "target", dev=str(port.tap), managed="no")
    SubElement(interface, "model", type=_NICS[port.model])
    SubElement(interface, "rom", enabled="no")  # guests boot from their first disk; iPXE would only cost time


def _commandline(domain: Element, arguments: list[str]) -> None:
    if arguments:
        commandline = SubElement(domain, f"{{{_QEMU}}}commandline")
        for argument in arguments:
            SubElement(commandline, f"{{{_QEMU}}}arg", value=argument)


def _extra(spec: LaunchSpec) -> Iterator[str]:
    """Checked further arguments. Of two -cpu QEMU takes the last; -rtc it adds to the first."""
    for option in ("cpu", "rtc", "global"):
        for value in values_of(spec.extra, option):
            yield from (f"-{option}", value)
    for value in values_of(spec.extra, "device"):
        model, *properties = value.split(",")
        yield from _device({"driver": model, **dict(_typed(*each.split("=", 1)) for each in properties)})


_TEXTS = frozenset({"id", "bus", "port", "addr", "serial", "intremap", "eim", "disable-legacy"})
"""Of the properties in extra_arguments.DEVICES: those that are words for QEMU, also when they look like a number or a switch."""


def _typed(name: str, value: str) -> tuple[str, object]:
    """QEMU's other syntax guesses the kind of a value; in JSON it must be right."""
    if name not in _TEXTS and value.isascii() and value.isdigit():
        return name, int(value)
    return name, value == "on" if name not in _TEXTS and value in ("on", "off") else value


def _device(device: Mapping[str, object]) -> tuple[str, str]:
    # As JSON, like libvirt's own: QEMU makes devices in the other syntax first, and they would take libvirt's PCI slots.
    return "-device", json.dumps(device)


def _spice(spice: SpiceDisplay, sound: Sound) -> Iterator[str]:
    """Ticketing is on and there is no password: nobody gets in before `grant_display` sets one."""
    words = [f"addr={spice.address}", f"tls-port={spice.tls_port}", f"x509-dir={_escaped(spice.tls)}"]
    words += ["tls-channel=default", "disable-ticketing=off", "disable-agent-file-xfer=on", "seamless-migration=off"]
    yield from ("-spice", ",".join(words))
    # libvirt refuses its own elements for agent and sound over SPICE without its own SPICE.
    # The guest's agent, if it has one: size of the screen, clipboard. The controller is libvirt's, made for the other agent's channel.
    yield from ("-chardev", "spicevmc,id=lv-agent,name=vdagent")
    yield from _device({"driver": "virtserialport", "bus": "virtio-serial0.0", "chardev": "lv-agent", "name": "com.redhat.spice.0"})
    if spice.usb:  # what the viewer hands over
        yield from _device({"driver": "qemu-xhci", "id": "lv-sticks"})
        for number in range(USB_DEVICES):
            yield from ("-chardev", f"spicevmc,id=lv-usbredir{number},name=usbredir")
            yield from _device({"driver": "usb-redir", "bus": "lv-sticks.0", "id": f"lv-stick{number}", "chardev": f"lv-usbredir{number}"})
    if sound is not Sound.NONE:
        yield from ("-audiodev", "spice,id=lv-sound")
        for device in _SPICE_SOUNDS[sound]:
            yield from _device(device)


def _told(spec: LaunchSpec) -> Iterator[str]:
    """What the guest reads in its firmware. Not libvirt's own element: 9.0 takes a comma in it for the next option."""
    for name, text in spec.told:
        yield from ("-fw_cfg", f"name=opt/labvirt/{name},string={_escaped(text)}")
    if spec.home_login:
        yield from ("-fw_cfg", f"name=opt/labvirt/{HOME_LOGIN},file={_escaped(spec.folder / HOME_LOGIN)}")


def _escaped(path: Path | str) -> str:
    """A comma begins the next option in QEMU's lists; two are one comma."""
    return str(path).replace(",", ",,")
