# SPDX-License-Identifier: MIT
"""A tiny guest under plain QEMU, for tests of the recipe: serial line, QMP, forwarded ports. No LabVirt code.

Every wait has a deadline and waits for bytes, never for time. QEMU dies with the test process, even a killed one.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

RECIPE = Path(__file__).parents[2] / "images" / "tiny"
BOOT_SECONDS = 90  # A deadline, not a promise: emulated and on a busy machine.
MAC = "52:54:00:ab:cd:ef"
SERIAL = "seat-serial-7"
UUID = "6c616276-6972-4747-8e57-000000000007"

DISKS = {
    "virtio": ("q35", ["virtio-blk-pci,drive=disk"]),
    "ide": ("pc", ["ide-hd,drive=disk"]),
    "scsi": ("q35", ["virtio-scsi-pci", "scsi-hd,drive=disk"]),
    "sata": ("q35", ["ide-hd,drive=disk"]),
}
DISK_NAMES = {"virtio": "/dev/vda", "ide": "/dev/sda", "scsi": "/dev/sda"}


def recipe_module(name: str) -> ModuleType:
    """images/tiny/<name>.py as a module: it belongs to no package."""
    known = sys.modules.get(f"tiny_{name}")
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(f"tiny_{name}", RECIPE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Line:
    """Lines of text over a Unix socket that QEMU connects to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(BOOT_SECONDS)
        self._peer: socket.socket | None = None
        self._buffer = b""

    def accept(self) -> None:
        self._peer, _ = self._listener.accept()

    def send(self, line: str) -> None:
        assert self._peer is not None
        self._peer.sendall(line.encode() + b"\n")

    def read(self, deadline: float) -> str:
        assert self._peer is not None
        while b"\n" not in self._buffer:
            self._peer.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._peer.recv(65536)
            if not data:
                raise EOFError(f"QEMU closed {self.path.name}; before that: {self._buffer!r}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")

    def close(self) -> None:
        for end in (self._peer, self._listener):
            if end is not None:
                end.close()


class TinyGuest:
    """One running tiny guest on an overlay of its own. Use as a context manager."""

    def __init__(self, image: Path, folder: Path, *, bus: str = "virtio", name: str = "pc-07", nic: bool = True) -> None:
        self.folder = folder
        overlay = folder / "overlay.qcow2"
        backing = ["-b", str(image), "-F", "qcow2"]
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(overlay)], check=True)
        machine, devices = DISKS[bus]
        forward = "".join(f",hostfwd=tcp:127.0.0.1:0-:{port}" for port in (7000, 3389))
        argv = ["qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-machine", machine, "-m", "256", "-smp", "1"]
        argv += ["-vga", "std", "-display", "none", "-smbios", f"type=1,serial={SERIAL},uuid={UUID}"]
        argv += ["-drive", f"if=none,id=disk,format=qcow2,file={overlay}"]
        for device in devices:
            argv += ["-device", device]
        if machine == "q35":
            argv += ["-device", "pcie-root-port,id=spare,chassis=1"]
        argv += ["-netdev", f"user,id=net,restrict=on,hostname={name}{forward}"]
        if nic:
            # No option ROM: the firmware would start a network boot loader first, for a second.
            argv += ["-device", f"virtio-net-pci,netdev=net,mac={MAC},romfile="]
        self.serial, self.qmp = Line(folder / "serial"), Line(folder / "qmp")
        argv += ["-chardev", f"socket,id=serial,path={self.serial.path}", "-serial", "chardev:serial"]
        argv += ["-chardev", f"socket,id=qmp,path={self.qmp.path}", "-mon", "chardev=qmp,mode=control"]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)

    def __enter__(self) -> TinyGuest:
        try:
            self.serial.accept()
            self.qmp.accept()
            self.qmp.read(time.monotonic() + BOOT_SECONDS)  # the greeting
            self.execute("qmp_capabilities")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.serial.close()
        self.qmp.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        self.qmp.send(json.dumps({"execute": command, "arguments": arguments}))
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            answer = json.loads(self.qmp.read(deadline))
            if "return" in answer:
                return answer["return"]
            assert "error" not in answer, answer

    def wait_for(self, beginning: str) -> str:
        """The next serial line that begins so."""
        deadline = time.monotonic() + BOOT_SECONDS
        while not (line := self.serial.read(deadline)).startswith(beginning):
            pass
        return line

    def ask(self, command: str) -> str:
        """The one line the guest answers on its serial line."""
        self.serial.send(command)
        return self.serial.read(time.monotonic() + BOOT_SECONDS)

    def shell(self, command: str) -> tuple[list[str], int]:
        """Output and status of a command in the guest."""
        self.serial.send(f"exec {command}")
        deadline, output = time.monotonic() + BOOT_SECONDS, []
        while not (line := self.serial.read(deadline)).startswith("exit "):
            output.append(line)
        return output, int(line.removeprefix("exit "))

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of the guest."""
        table = self.execute("human-monitor-command", **{"command-line": "info usernet"})
        found = re.search(rf"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+{port}\s", table)
        assert found is not None, table
        return socket.create_connection(("127.0.0.1", int(found[1])), timeout=BOOT_SECONDS)

    def picture(self) -> Image.Image:
        """What the screen shows now."""
        file = self.folder / "screen.png"
        self.execute("screendump", filename=str(file), format="png")
        with Image.open(file) as image:
            return image.convert("RGB")
