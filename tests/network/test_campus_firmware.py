# SPDX-License-Identifier: MIT
"""Real firmware, BIOS with iPXE and UEFI, on a wire where the campus gives the addresses: what it asks the gateway for."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import shutil
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
from tests.network.test_campus_dhcp import GATEWAY, TERMINAL, lab
from tests.network.wire import HostSide

pytestmark = [pytest.mark.real, pytest.mark.slow]

SECONDS = 150.0
ROM = Path("/usr/lib/ipxe/qemu/pxe-virtio.rom")
OVMF = next((each for each in map(Path, ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd")) if each.exists()), None)


@contextlib.contextmanager
def computer(folder: Path, *, uefi: bool) -> Iterator[None]:
    """A PC with an empty disk whose card boots, at the port `pc1` of the lab's bridge."""
    wire.plain_port("pc1", "lvb000")
    words = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "256", "-nodefaults", "-display", "none", "-vga", "none"]
    card = f"virtio-net-pci,netdev=net,mac={TERMINAL.mac},bootindex=1"
    words += ["-netdev", "tap,id=net,ifname=pc1,script=no,downscript=no"]
    if uefi:
        assert OVMF is not None
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}"]
        store = Path(shutil.copy(OVMF.with_name(OVMF.name.replace("CODE", "VARS")), folder))
        words += ["-drive", f"if=pflash,format=raw,file={store}", "-device", f"{card},romfile="]
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
    """Who asks whom for which file by TFTP (RFC 1350, 5). Raises AssertionError when nobody does."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        frame = host.read()
        if frame is None:
            select.select([host], [], [], 0.5)
        elif frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == b"\0\x45" and frame[42:44] == b"\0\x01":
            return IPv4Address(frame[26:30]), IPv4Address(frame[30:34]), frame[44:].split(b"\0")[0].decode()
    raise AssertionError("the PC asks for no file")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
@pytest.mark.parametrize(
    "form, mode",
    [
        (DhcpForm.KEA, DhcpMode.PROXY),
        (DhcpForm.DNSMASQ, DhcpMode.PROXY),
        (DhcpForm.KEA, DhcpMode.NONE),
        (DhcpForm.ISC, DhcpMode.NONE),
        (DhcpForm.DNSMASQ, DhcpMode.NONE),
    ],
)
def test_firmware_gets_its_address_from_the_campus_and_fetches_our_loader(
    own_network: Namespace, state: Path, tmp_path: Path, form: DhcpForm, mode: DhcpMode, uefi: bool
) -> None:
    if uefi and OVMF is None:
        pytest.skip("there is no UEFI firmware: apt-get install ovmf")
    if not uefi and not ROM.exists():
        pytest.skip("there is no card that boots: apt-get install ipxe-qemu")
    LinuxNetwork().ensure_lab(wire.lab_a())
    wanted = lab(mode)
    Dnsmasq(state / "networks").apply(wanted)
    told = wanted if mode is DhcpMode.NONE else dataclasses.replace(wanted, boot=None)
    campus = Campus(form, RenderedForms().render(form, told), tmp_path / "campus")
    host = HostSide("lvb000")
    try:
        with computer(tmp_path, uefi=uefi):
            assert first_wish(host) == (TERMINAL.address, GATEWAY, "shimx64.efi" if uefi else "core.0")
    finally:
        host.close()
        campus.close()
