# SPDX-License-Identifier: MIT
"""A desktop guest under plain QEMU, as LabVirt starts one: an overlay, its name in the SMBIOS serial, the agent's channel."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

OVMF = Path("/usr/share/OVMF")
AGENT_SECONDS = 3.0
"""A guest that boots answers nothing: so long one question is waited for."""


class Guest:
    """Is switched on by its making, and gone after close(). Port 3389 is `port` on the loopback interface of whoever made it."""

    def __init__(
        self,
        image: Path,
        folder: Path,
        name: str,
        port: int,
        *,
        spice: bool = False,
        uefi: bool = False,
        told: str = "",
        firmware_words: Sequence[str] = (),
        sees_host: bool = False,
    ) -> None:
        """`firmware_words`: further arguments of QEMU's for what the firmware tells. `sees_host`: it reaches this namespace as 10.0.2.2."""
        self.name, self.port, self.began = name, port, time.monotonic()
        folder.mkdir()
        self._folder = folder
        overlay = folder / "overlay.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", overlay], check=True)
        firmware: list[str] = []
        if uefi:
            (folder / "vars.fd").write_bytes((OVMF / "OVMF_VARS_4M.fd").read_bytes())
            firmware += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd"]
            firmware += ["-drive", f"if=pflash,format=raw,file={folder}/vars.fd"]
        display = ["-vga", "std"]
        if spice:
            display = ["-device", "qxl-vga", "-spice", f"unix=on,addr={folder}/spice.sock,disable-ticketing=on"]
            display += ["-chardev", "spicevmc,id=vdagent,name=vdagent", "-device", "virtserialport,chardev=vdagent,name=com.redhat.spice.0"]
        if told:
            display += ["-fw_cfg", f"name=opt/labvirt/forgets,string={told}"]
        self._log = (folder / "qemu.log").open("wb")
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "1024"),
                *("-nodefaults", "-display", "none", "-uuid", str(uuid.uuid4()), "-smbios", f"type=1,manufacturer=LabVirt,serial={name}"),
                *firmware,
                *("-drive", f"if=none,id=disk,format=qcow2,file={overlay}", "-device", "virtio-blk-pci,drive=disk,bootindex=0"),
                *("-netdev", f"user,id=net,restrict={'off' if sees_host else 'on'},hostfwd=tcp:127.0.0.1:{port}-:3389"),
                *("-device", "virtio-net-pci,netdev=net,romfile="),
                *("-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={folder}/agent.sock,server=on,wait=off"),
                *("-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0", "-device", "virtio-rng-pci"),
                *display,
                *firmware_words,
                *("-serial", f"file:{folder}/serial.log", "-qmp", f"unix:{folder}/qmp.sock,server=on,wait=off"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._agent: socket.socket | None = None

    def seconds(self) -> float:
        """Since it was switched on."""
        return round(time.monotonic() - self.began, 1)

    def wait(self, what: str, found: Callable[[], bool], seconds: float) -> None:
        """`found` became true in time. Raises AssertionError with the last lines of the serial line."""
        deadline = time.monotonic() + seconds
        while not found():
            assert self._process.poll() is None, f"QEMU has ended: {Path(self._log.name).read_text()}"
            assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s in {self.name}: {self._serial()!r}"
            time.sleep(0.3)

    def _serial(self) -> str:
        file = self._folder / "serial.log"
        return file.read_text(errors="replace")[-1500:] if file.exists() else ""

    # --- the agent ---

    def answers(self) -> bool:
        """The agent says what it was asked; what was said before is thrown away, as the protocol wants it (guest-sync-delimited)."""
        token = int.from_bytes(uuid.uuid4().bytes[:4])
        try:
            if self._agent is None:
                self._agent = socket.socket(socket.AF_UNIX)
                self._agent.settimeout(AGENT_SECONDS)
                self._agent.connect(str(self._folder / "agent.sock"))
                self._lines = self._agent.makefile("rb")
            self._agent.sendall(b"\xff" + json.dumps({"execute": "guest-sync-delimited", "arguments": {"id": token}}).encode() + b"\n")
            while line := self._lines.readline():
                if line.strip(b"\xff\n") and json.loads(line.strip(b"\xff\n")).get("return") == token:
                    self._agent.settimeout(120)
                    return True
        except (OSError, ValueError):
            pass
        if self._agent is not None:
            self._agent.close()
            self._agent = None
        return False

    def ask(self, command: str, **arguments: Any) -> Any:
        assert self._agent is not None
        self._agent.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        told = json.loads(self._lines.readline().strip(b"\xff"))
        assert "error" not in told, (command, told)
        return told["return"]

    def read(self, path: str) -> bytes:
        handle = self.ask("guest-file-open", path=path, mode="r")
        try:
            return base64.b64decode(self.ask("guest-file-read", handle=handle, count=16384)["buf-b64"])
        finally:
            self.ask("guest-file-close", handle=handle)

    def write(self, path: str, data: bytes) -> None:
        handle = self.ask("guest-file-open", path=path, mode="w")
        try:
            self.ask("guest-file-write", handle=handle, **{"buf-b64": base64.b64encode(data).decode()})
        finally:
            self.ask("guest-file-close", handle=handle)

    def set_password(self, user: str, password: str) -> None:
        self.ask("guest-set-user-password", username=user, password=base64.b64encode(password.encode()).decode(), crypted=False)

    def run(self, *argv: str, seconds: float = 120) -> tuple[int, str]:
        """(status, what it printed) of a program inside."""
        pid = self.ask("guest-exec", path=argv[0], arg=list(argv[1:]), **{"capture-output": True})["pid"]
        deadline = time.monotonic() + seconds
        while not (done := self.ask("guest-exec-status", pid=pid))["exited"]:
            assert time.monotonic() < deadline, f"{argv} did not end in {self.name}"
            time.sleep(0.2)
        said = base64.b64decode(done.get("out-data", "")) + base64.b64decode(done.get("err-data", ""))
        return int(done.get("exitcode", -1)), said.decode(errors="replace")

    # --- the machine ---

    def monitor(self, command: str, **arguments: Any) -> None:
        """One QMP command, done when this returns."""
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(60)
            stream.connect(str(self._folder / "qmp.sock"))
            lines = stream.makefile("rb")
            lines.readline()
            for execute, words in (("qmp_capabilities", {}), (command, arguments)):
                stream.sendall(json.dumps({"execute": execute, "arguments": words}).encode() + b"\n")
                while "return" not in (told := json.loads(lines.readline())):
                    assert "error" not in told, told

    def picture(self, file: Path) -> None:
        """What its own display shows now, as PNG."""
        self.monitor("screendump", filename=str(file), format="png")

    def is_off(self) -> bool:
        return self._process.poll() is not None

    def close(self) -> None:
        if self._agent is not None:
            self._lines.close()
            self._agent.close()
        self._process.kill()
        self._process.wait()
        self._log.close()
