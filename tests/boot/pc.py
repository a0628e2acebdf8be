# SPDX-License-Identifier: MIT
"""The PC on the desk with a cable to a lab's bridge: its firmware, an empty disk, and nothing that tells it where it is."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.boot.computer import Computer
from tests.system import netns

OVMF = Path("/usr/share/OVMF")


@dataclass(frozen=True, kw_only=True)
class Firmware:
    """`code` and `variables`: OVMF's files (Debian package ovmf); none for the BIOS. `words`: QEMU's, beside them."""

    code: str = ""
    variables: str = ""
    machine: str = "q35"
    words: tuple[str, ...] = ()
    card: str = "virtio-net-pci,romfile="
    """Without a ROM of its own it is driven by OVMF's network stack, which is that of most PCs (EDK II). The BIOS has none: QEMU's iPXE."""


FIRMWARE = {
    "bios": Firmware(card="e1000"),
    "uefi": Firmware(code="OVMF_CODE_4M.fd", variables="OVMF_VARS_4M.fd"),
    # Without PXE it asks by HTTP (OvmfPkg/README: opt/org.tianocore/IPv4PXESupport).
    "http": Firmware(
        code="OVMF_CODE_4M.fd", variables="OVMF_VARS_4M.fd", words=("-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
    ),
    # Microsoft's keys are enrolled in these variables, and nobody but the firmware may write them (docs of OVMF: SMM).
    "secureboot": Firmware(
        code="OVMF_CODE_4M.ms.fd",
        variables="OVMF_VARS_4M.ms.fd",
        machine="q35,smm=on",
        words=("-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1"),
    ),
}


class Pc(Computer):
    """Is switched on by its making, on the bridge of this network namespace, and gone after close()."""

    def __init__(self, folder: Path, namespace: str, bridge: str, mac: str, firmware: Firmware, *, memory_mib: int) -> None:
        self._serial = folder / "serial.log"
        self._socket = folder / "qmp"
        disk = folder / "disk.raw"
        with disk.open("wb") as stream:
            stream.truncate(64 << 20)
        flash: list[str] = []
        if firmware.code:
            (folder / "variables.fd").write_bytes((OVMF / firmware.variables).read_bytes())
            flash += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF / firmware.code}"]
            flash += ["-drive", f"if=pflash,format=raw,unit=1,file={folder / 'variables.fd'}"]
        netns.command("ip", "-n", namespace, "tuntap", "add", "pc", "mode", "tap")
        netns.command("ip", "-n", namespace, "link", "set", "pc", "master", bridge, "up")
        self._namespace = namespace
        self._log = (folder / "qemu.log").open("wb")
        self._process = subprocess.Popen(
            [
                *("ip", "netns", "exec", namespace),
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", firmware.machine, "-cpu", "max", "-smp", "2"),
                *("-m", str(memory_mib), "-nodefaults", "-vga", "std", "-display", "none"),
                *flash,
                *firmware.words,
                *("-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", "ide-hd,drive=disk,bootindex=1"),
                *("-netdev", "tap,id=net,ifname=pc,script=no,downscript=no"),
                *("-device", f"{firmware.card},netdev=net,mac={mac},bootindex=0", "-device", "virtio-rng-pci"),
                *("-device", "intel-hda", "-device", "hda-output,audiodev=none", "-audiodev", "none,id=none"),
                *("-serial", f"file:{self._serial}", "-qmp", f"unix:{self._socket},server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._monitor = None

    def plug(self, plugged: bool) -> None:
        """The cable is in, or out."""
        self.ask("set_link", name="net", up=plugged)

    def fetched_bytes(self) -> int:
        """What came to the PC over its cable, as the bridge's port counts it."""
        told = netns.command("ip", "netns", "exec", self._namespace, "cat", "/sys/class/net/pc/statistics/tx_bytes")
        return int(told)

    def close(self) -> None:
        super().close()
        subprocess.run(["ip", "-n", self._namespace, "link", "delete", "pc"], check=False, capture_output=True)
