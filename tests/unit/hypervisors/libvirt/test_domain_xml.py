# SPDX-License-Identifier: MIT
"""The XML is what golden/ holds, libvirt's schema accepts all of it, and no value becomes markup or an option."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from xml.etree import ElementTree

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.contracts.hypervisor import USB_DEVICES, DiskLayer, Drive, LaunchSpec, NetworkPort, SpiceDisplay
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.guest import RunId
from labvirt.domain.profile import PLACES, Bus, Clock, Firmware, Machine, Nic, Sound, Video
from labvirt.hypervisors.libvirt import domain_xml
from labvirt.hypervisors.libvirt.connection import run_event_loop
from labvirt.hypervisors.libvirt.memory_file import MemoryFile

GOLDEN = Path(__file__).parent / "golden"
FOLDER = Path("/var/lib/labvirt/runs/lab-a-07.g3")
BASE = DiskLayer(path=Path("/var/lib/labvirt/images/tiny/v1-0123456789ab/disk.qcow2"), format="qcow2")


def overlay(place: int = 0) -> DiskLayer:
    return DiskLayer(path=FOLDER / f"overlay-{place}.qcow2", format="qcow2")


SMALL = LaunchSpec(
    run=RunId("lab-a-07", 3),
    folder=FOLDER,
    uuid=uuid.UUID("6c616276-6972-5477-8000-000000000007"),
    serial="lab-a-07",
    memory_mib=256,
    cpus=1,
    firmware=Firmware.BIOS,
    machine=Machine.Q35,
    clock=Clock.UTC,
    drives=(Drive(bus=Bus.VIRTIO, index=0, chain=(overlay(), BASE)),),
    port=NetworkPort(tap=InterfaceName("lvt000007"), mac=MacAddress.parse("02:4c:56:00:00:07"), model=Nic.VIRTIO),
    spice=None,
    video=Video.STD,
    sound=Sound.NONE,
    uid=0x20000007,
)
DESKTOP = replace(
    SMALL,
    memory_mib=4096,
    cpus=4,
    firmware=Firmware.UEFI,
    clock=Clock.LOCALTIME,
    drives=(
        Drive(bus=Bus.SATA, index=0, cdrom=True),
        Drive(bus=Bus.SATA, index=1, chain=(overlay(), BASE)),
        Drive(bus=Bus.SCSI, index=0, chain=(overlay(1), BASE)),
        Drive(bus=Bus.VIRTIO, index=0, cdrom=True),
    ),
    spice=SpiceDisplay(address=IPv4Address("10.77.0.1"), tls_port=20007, tls=FOLDER / "tls", usb=True),
    video=Video.QXL,
    sound=Sound.HDA,
    overlay_cap_bytes=4 << 30,
    hyperv=True,
    told=(("forgets", "Everything <else> is forgotten, & soon."), ("home", "smb://files.lab/homes/7")),
    home_login=True,
)
OLD = replace(
    SMALL,
    machine=Machine.PC,
    drives=(
        Drive(bus=Bus.IDE, index=0, chain=(overlay(), BASE)),
        Drive(bus=Bus.IDE, index=3, cdrom=True, chain=(DiskLayer(path=Path("/iso/setup.iso"), format="raw"),)),
    ),
    port=replace(SMALL.port, model=Nic.RTL8139),  # type: ignore[type-var]
    video=Video.VIRTIO,
    sound=Sound.AC97,
    boot_cdrom=True,
    uid=None,
    extra=("cpu=qemu64,+ssse3", "device=usb-kbd,port=2", "rtc=driftfix=slew", "global=PIIX4_PM.disable_s3=0"),
)
SPECS = {"small": SMALL, "desktop": DESKTOP, "old": OLD}


@pytest.mark.parametrize("name", SPECS)
def test_it_is_what_the_golden_file_holds(name: str) -> None:
    """LABVIRT_GOLDEN=write rewrites them; look at the difference."""
    text = domain_xml.render(SPECS[name], owner="site-1", accelerator="kvm" if name == "desktop" else "tcg")
    file = GOLDEN / f"{name}.xml"
    if os.environ.get("LABVIRT_GOLDEN") == "write":
        file.write_text(text)
    assert text == file.read_text()


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own words


@pytest.fixture(scope="module")
def judge() -> libvirt.virConnect:
    """libvirt's own schema; this driver lives inside the process and needs neither root nor libvirtd."""
    run_event_loop()
    return libvirt.open("test:///default")


def accepted(judge: libvirt.virConnect, text: str) -> None:
    tried = text.replace('type="qemu"', 'type="test"', 1).replace('type="kvm"', 'type="test"', 1)
    judge.defineXMLFlags(tried, libvirt.VIR_DOMAIN_DEFINE_VALIDATE).undefine()


def kinds() -> list[LaunchSpec]:
    found = [
        *(replace(SMALL, firmware=firmware, machine=machine) for firmware in Firmware for machine in Machine),
        *(replace(SMALL, clock=clock) for clock in Clock),
        *(replace(SMALL, video=video) for video in Video),
        *(replace(SMALL, sound=sound, spice=spice) for sound in Sound for spice in (None, DESKTOP.spice)),
    ]
    for bus, places in PLACES.items():
        for cdrom in (False, True):
            chain = () if cdrom else (overlay(), BASE)
            drives = tuple(Drive(bus=bus, index=index, cdrom=cdrom, chain=chain) for index in range(places))
            found.append(replace(SMALL, machine=Machine.PC, drives=drives, boot_cdrom=cdrom))
    return [*found, *(replace(SMALL, port=replace(SMALL.port, model=nic)) for nic in Nic), replace(SMALL, port=None)]  # type: ignore[type-var]


def test_the_schema_accepts_every_kind_of_machine_and_refuses_what_is_none(judge: libvirt.virConnect) -> None:
    accepted(judge, domain_xml.render(SMALL, owner="site-1", accelerator="kvm"))
    for spec in (*SPECS.values(), *kinds()):
        accepted(judge, domain_xml.render(spec, owner="site-1", accelerator="tcg", started="2026-01-01T00:00:00+00:00"))
    with pytest.raises(libvirt.libvirtError):
        accepted(judge, domain_xml.render(SMALL, owner="x", accelerator="tcg").replace("<acpi />", "<acpy />"))


def test_targets_and_places_are_unique() -> None:
    for spec in (*SPECS.values(), *kinds()):
        root = parsed(domain_xml.render(spec, owner="x", accelerator="tcg"))
        targets = [target.get("dev") for target in root.iter("target") if target.get("bus")]
        assert len(targets) == len(set(targets)) == len(spec.drives)
        places = [
            (disk.find("target").get("bus"), *sorted(address.items()))  # type: ignore[union-attr]
            for disk in root.iter("disk")
            if (address := disk.find("address")) is not None
        ]
        assert len(places) == len(set(places))
        assert len(list(root.iter("boot"))) == 1


HOSTILE = [
    "x</source><source file='/etc/shadow'/>",
    'x"/><qemu:arg value="-daemonize',
    "x,addr=0.0.0.0,disable-ticketing=on",
    "x&amp;&lt;!ENTITY",
    "$(reboot)`id`;x",
    "ж" * 40,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_path_stays_a_path(judge: libvirt.virConnect, name: str) -> None:
    folder = Path("/srv") / name.replace("/", "_")
    layer = DiskLayer(path=folder / "overlay-0.qcow2", format="qcow2")
    assert DESKTOP.spice is not None
    spec = replace(
        DESKTOP,
        folder=folder,
        serial=name,
        spice=replace(DESKTOP.spice, tls=folder / "tls"),
        drives=(Drive(bus=Bus.VIRTIO, index=0, chain=(layer, BASE)),),
    )
    text = domain_xml.render(spec, owner=name, accelerator="tcg")
    root = parsed(text)
    assert [source.get("file") for source in root.iter("source") if source.get("file")] == [str(layer.path), str(BASE.path)]
    arguments = [element.get("value") or "" for element in root.iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg")]
    given = [
        "-spice",
        "-chardev",
        "-device",
        "-device",
        *["-chardev", "-device"] * USB_DEVICES,
        "-audiodev",
        "-device",
        "-device",
        *["-fw_cfg"] * 3,
    ]
    assert [word for word in arguments if word.startswith("-")] == given
    assert arguments[-1] == f"name=opt/labvirt/home-login,file={folder}/home-login".replace(f"{folder}", f"{folder}".replace(",", ",,"))
    options = dict(pair.split("=", 1) for pair in arguments[1].replace(",,", "\0").split(","))
    assert options["x509-dir"].replace("\0", ",") == str(folder / "tls")
    assert (options["addr"], options["disable-ticketing"]) == ("10.77.0.1", "off")
    assert root.findtext("sysinfo/system/entry[@name='serial']") == name
    accepted(judge, text)


@given(owner=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=40))
def test_the_mark_is_read_back(owner: str) -> None:
    root = parsed(domain_xml.render(SMALL, owner=owner, accelerator="tcg", started="2026-01-01"))
    element = root.find(f"metadata/{{{domain_xml.MARK}}}run")
    assert element is not None
    mark = domain_xml.parse_mark(ElementTree.tostring(element, encoding="unicode"))
    assert mark == domain_xml.Mark(run=SMALL.run, owner=owner, started="2026-01-01")


@pytest.mark.parametrize("spec", [replace(OLD, port=None), replace(SMALL, port=None)], ids=["pc", "q35"])
def test_a_clone_is_its_template_but_for_its_memory_and_its_mark(judge: libvirt.virConnect, spec: LaunchSpec) -> None:
    memory, lent = MemoryFile(path=FOLDER / "ram, of 7", clone=False), MemoryFile(path=Path("/proc/77/fd/9"), clone=True)
    made = domain_xml.render(spec, owner="site-1", accelerator="tcg", memory=memory, machine="0" * 64)
    clone = domain_xml.render(replace(spec, port=SMALL.port), owner="site-1", accelerator="tcg", memory=lent, waker="1:2:3")
    for text in (made, clone):
        accepted(judge, text)
    words = [
        [element.get("value") for element in parsed(text).iter("{http://libvirt.org/schemas/domain/qemu/1.0}arg")] for text in (made, clone)
    ]
    backend = f"memory-backend-file,id=lv-memory,size={spec.memory_mib}M,mem-path="
    shared = ["-object", f"{backend}{FOLDER}/ram,, of 7,share=on", "-machine", "memory-backend=lv-memory"]
    private = ["-object", f"{backend}/proc/77/fd/9,share=off", "-machine", "memory-backend=lv-memory", "-incoming", "defer"]
    assert words[0][-4:] == shared
    assert words[1] == words[0][:-4] + private
    trees = [parsed(text) for text in (made, clone)]
    for tree in trees:
        for part in ("metadata", "{http://libvirt.org/schemas/domain/qemu/1.0}commandline"):
            found = tree.find(part)
            assert found is not None
            tree.remove(found)
    assert ElementTree.tostring(trees[0]) == ElementTree.tostring(trees[1])
    assert "interface" not in clone
    assert SMALL.port is not None
    assert domain_xml.render_port(SMALL.port) in domain_xml.render(SMALL, owner="site-1", accelerator="tcg").replace(
        "\n      ", ""
    ).replace("\n    </interface", "</interface")


def test_marks_of_templates_and_clones_are_read_back() -> None:
    for mark in (
        domain_xml.Mark(run=SMALL.run, owner="a & b", machine="0" * 64, overlays=("vda", "sdb")),
        domain_xml.Mark(run=SMALL.run, owner="<site>", waker="1:2:3", cap_bytes=7, started="2026-01-01"),
    ):
        assert domain_xml.parse_mark(domain_xml.render_mark(mark)) == mark


@pytest.mark.parametrize("text", ["", "<run/>", "<run id='lab-a-07.g3'/>", "<run id='x' owner='site-1'/>", "no xml"])
def test_what_is_no_mark_of_ours_is_none(text: str) -> None:
    assert domain_xml.parse_mark(text) is None
    assert domain_xml.parse_mark("<run id='lab-a-07.g3' owner='site-1'/>") is not None


def test_no_secret_and_nothing_of_the_moment_is_in_it() -> None:
    text = domain_xml.render(DESKTOP, owner="site-1", accelerator="tcg")
    assert text == domain_xml.render(DESKTOP, owner="site-1", accelerator="tcg")
    assert "passw" not in text
