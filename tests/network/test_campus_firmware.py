# SPDX-License-Identifier: MIT
"""Real firmware on a wire where the campus gives the addresses: what BIOS with iPXE, and UEFI by TFTP and by HTTP, ask the gateway for."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.contracts.dhcp import DhcpForm
from labvirt.domain.lab import DhcpMode
from labvirt.network.dhcp.driver import Dnsmasq
from labvirt.network.dhcp.forms import RenderedForms
from labvirt.network.driver import LinuxNetwork
from tests.network import wire
from tests.network.campus import Campus
from tests.network.namespace import Namespace
from tests.network.test_campus_dhcp import GATEWAY, TERMINAL, installed, lab
from tests.network.wire import HostSide

pytestmark = [pytest.mark.real, pytest.mark.slow]

SECONDS = 150.0
UDP, TCP, CONTROLLER = 17, 6, 8080
ROM = Path("/usr/lib/ipxe/qemu/pxe-virtio.rom")
OVMF = next((each for each in map(Path, ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd")) if each.exists()), None)


ONLY_HTTP = ("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
"""OVMF's switches (OvmfPkg/README)."""

WISHES = {"bios": "core.0", "uefi": "shimx64.efi", "http": "/boot/shimx64.efi"}


@contextlib.contextmanager
def computer(folder: Path, kind: str) -> Iterator[None]:
    """A PC without a disk whose card boots, at the port `pc1` of the lab's bridge."""
    wire.plain_port("pc1", "lvb000")
    words = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "256", "-nodefaults", "-display", "none", "-vga", "none"]
    card = f"virtio-net-pci,netdev=net,mac={TERMINAL.mac},bootindex=1"
    words += ["-netdev", "tap,id=net,ifname=pc1,script=no,downscript=no"]
    if kind != "bios":
        assert OVMF is not None
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}"]
        store = Path(shutil.copy(OVMF.with_name(OVMF.name.replace("CODE", "VARS")), folder))
        words += ["-drive", f"if=pflash,format=raw,file={store}", "-device", f"{card},romfile=", *(ONLY_HTTP if kind == "http" else ())]
    else:
        words += ["-device", card]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def first_wish(host: HostSide) -> tuple[IPv4Address, IPv4Address, str]:
    """Who asks whom for which file, by TFTP (RFC 1350, 5) or HTTP. Raises AssertionError when nobody does."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        frame = host.read()
        if frame is None:
            select.select([host], [], [], 0.5)
            continue
        if frame[12:14] != b"\x08\x00":
            continue
        ends = IPv4Address(frame[26:30]), IPv4Address(frame[30:34])
        if frame[23] == UDP and frame[36:38] == b"\0\x45" and frame[42:44] == b"\0\x01":
            return *ends, frame[44:].split(b"\0")[0].decode()
        said = frame[34 + (frame[46] >> 4) * 4 :] if frame[23] == TCP else b""
        if ends[1] == GATEWAY and said.startswith((b"HEAD ", b"GET ")):
            return *ends, said.split(b" ")[1].decode()
    raise AssertionError("the PC asks for no file")


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "form, mode, kind",
    [
        (DhcpForm.KEA, DhcpMode.PROXY, "bios"),
        (DhcpForm.KEA, DhcpMode.PROXY, "uefi"),
        (DhcpForm.KEA, DhcpMode.PROXY, "http"),
        (DhcpForm.DNSMASQ, DhcpMode.PROXY, "uefi"),
        (DhcpForm.KEA, DhcpMode.NONE, "uefi"),
        (DhcpForm.ISC, DhcpMode.NONE, "bios"),
        (DhcpForm.ISC, DhcpMode.NONE, "http"),
        (DhcpForm.DNSMASQ, DhcpMode.NONE, "http"),
    ],
)
def test_firmware_gets_its_address_from_the_campus_and_fetches_our_loader(
    own_network: Namespace, state: Path, tmp_path: Path, form: DhcpForm, mode: DhcpMode, kind: str
) -> None:
    if kind != "bios" and OVMF is None:
        pytest.skip("there is no UEFI firmware: apt-get install ovmf")
    if kind == "bios" and not ROM.exists():
        pytest.skip("there is no card that boots: apt-get install ipxe-qemu")
    LinuxNetwork().ensure_lab(wire.lab_a())
    wanted = lab(mode, installed(state))
    Dnsmasq(state / "networks").apply(wanted)
    told = wanted if mode is DhcpMode.NONE else dataclasses.replace(wanted, boot=None)
    campus = Campus(form, RenderedForms().render(form, told), tmp_path / "campus")
    host = HostSide("lvb000")
    try:
        with socket.create_server((str(GATEWAY), CONTROLLER)), computer(tmp_path, kind):
            assert first_wish(host) == (TERMINAL.address, GATEWAY, WISHES[kind])
    finally:
        host.close()
        campus.close()
