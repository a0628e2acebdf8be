# SPDX-License-Identifier: MIT
"""The baseline below libvirt: an overlay by qemu-img and QEMU by hand, on the plain bridge of plain_libvirt; and the floor under every
start: QEMU without a guest until it greets.
"""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from pathlib import Path

from labvirt.demo.place import Place
from labvirt.errors import HostNotReady
from labvirt.system import files, process
from tests.bench.ground import must
from tests.bench.plain_libvirt import BRIDGE

PROGRAM = "qemu-system-x86_64"
GREETING_SECONDS = 60.0


class PlainQemu:
    """Guests with the devices that PlainLibvirt's have; QEMU runs as root and without a sandbox. The bridge is PlainLibvirt's."""

    def __init__(self, place: Place, image: Path, memory_mib: int) -> None:
        self._place = place
        self._image = image
        self._memory_mib = memory_mib
        self._folder = place.folder / "raw"
        self._running: dict[str, process.ProcessIdentity] = {}

    def start(self) -> None:
        """What joins a TAP to the bridge is there."""
        files.private_folder(self._folder)
        up = self._folder / "up.sh"
        up.write_text(f'#!/bin/sh\nexec ip link set "$1" master {BRIDGE} up\n', encoding="ascii")
        up.chmod(0o700)

    def create(self, name: str, number: int) -> Path:
        """Its overlay is made, and QEMU has greeted: the machine runs. The path of its serial line. Raises HostNotReady."""
        folder = files.private_folder(self._folder / name)
        disk, serial, monitor = folder / "disk.qcow2", folder / "serial.sock", folder / "qmp.sock"
        must(["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(self._image), "-F", "qcow2", str(disk)])
        argv = [PROGRAM, "-machine", "q35,accel=tcg", "-cpu", "max", "-m", str(self._memory_mib), "-nodefaults", "-vga", "std"]
        argv += ["-vnc", f"unix:{folder / 'vnc.sock'}", "-drive", f"file={disk},if=virtio,format=qcow2"]
        argv += ["-netdev", f"tap,id=n0,ifname=raw{number},script={self._folder / 'up.sh'},downscript=no"]
        argv += ["-device", f"virtio-net-pci,netdev=n0,mac=52:54:00:aa:{number >> 8:02x}:{number & 255:02x},romfile="]
        argv += ["-device", "virtio-rng-pci", "-serial", f"unix:{serial},server=on,wait=off", "-qmp", f"unix:{monitor},server=on,wait=off"]
        running = process.spawn_detached(["ip", "netns", "exec", self._place.namespace, *argv], log=folder / "log")
        self._running[name] = running
        deadline = time.monotonic() + GREETING_SECONDS
        while True:
            with socket.socket(socket.AF_UNIX) as line:
                try:
                    line.connect(str(monitor))
                    line.settimeout(GREETING_SECONDS)
                    if line.recv(65536).startswith(b'{"QMP"'):
                        return serial
                except (FileNotFoundError, ConnectionRefusedError):
                    if not process.is_alive(running) or time.monotonic() > deadline:
                        raise HostNotReady(f"QEMU did not start: {files.read_tail(folder / 'log')[-200:]}", hint="labvirt doctor") from None
            time.sleep(0.001)

    def destroy(self, name: str) -> None:
        """The guest and its disk are gone."""
        running = self._running.pop(name)
        process.send_signal(running, signal.SIGKILL)
        process.wait_end(running, 20)
        files.remove_tree(self._folder / name)


def greeting_ms() -> float:
    """From exec to the greeting of a QEMU without guest, disk, network or display. As a controller waits that loses no time: the socket
    is handed over, so nothing is polled. Raises HostNotReady."""
    with (
        tempfile.TemporaryDirectory(prefix="floor-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as line,
    ):
        listener.bind(os.path.join(folder, "qmp"))
        listener.listen(1)
        line.settimeout(GREETING_SECONDS)
        line.connect(os.path.join(folder, "qmp"))
        argv = [PROGRAM, "-no-user-config", "-nodefaults", "-machine", "q35,accel=tcg", "-display", "none", "-S"]
        argv += ["-chardev", "socket,id=q,fd=3,server=on,wait=off", "-mon", "chardev=q,mode=control"]
        began = time.monotonic()
        running = process.spawn_detached(argv, log=Path(folder) / "log", descriptors=(listener.fileno(),))
        try:
            if not line.recv(65536).startswith(b'{"QMP"'):
                raise HostNotReady("QEMU did not greet.", hint="labvirt doctor")
            return (time.monotonic() - began) * 1000
        finally:
            process.send_signal(running, signal.SIGKILL)
            process.wait_end(running, 20)
