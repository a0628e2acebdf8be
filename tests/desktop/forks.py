# SPDX-License-Identifier: MIT
"""`make desktop-forks`: the desktop guest is frozen with its desktop open, and two clones of it are two computers.

Through LabVirt's own QEMU driver; each clone is judged by what its agent reads inside, by the certificate that its port 3389 shows, and by
its picture (OCR).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from labvirt.contracts.hypervisor import Hypervisor, LaunchSpec, NetworkPort, SpiceDisplay
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.profile import Nic, Video
from labvirt.domain.seat_note import SEAT_NOTE, seat_note
from labvirt.engine.logins import CERTIFICATE
from labvirt.network.authority import FileAuthority
from tests.contracts.test_templates import DISKS, NAME, clone_spec
from tests.contracts.workshop import Ground, QemuWorkshop, clear_leftovers
from tests.desktop.guest import Guest
from tests.desktop.terminal import colours, words
from tests.forks.flock import FIRST_MAC, GATEWAY, network, seat_address
from tests.system import ending
from tests.system.recipe import built

PATIENCE = 3000.0
SEATS = 2
RENEWED = ("xrdp", "xrdp-sesman", "systemd-networkd", "systemd-resolved")
"""Programs that face the network."""
STAYS = "Xorg"
"""The control: the desktop was not started anew, so what is compared of the others is equal here."""
FORGETS = "Nothing is kept here. Ask room nine."

LAYOUT = """
import json, os, struct, subprocess, sys
told = {}
for name in sys.argv[1:]:
    found = subprocess.run(["pgrep", "-o", "-f", "^[^ ]*/" + name + "( |$)"], capture_output=True, text=True).stdout.split()
    if not found:
        continue
    pid = found[0]
    vectors = open(f"/proc/{pid}/auxv", "rb").read()
    place = dict(struct.iter_unpack("QQ", vectors))[25]
    memory = open(f"/proc/{pid}/mem", "rb")
    memory.seek(place)
    maps = open(f"/proc/{pid}/maps").read().splitlines()
    stack = next(line for line in maps if line.endswith("[stack]"))
    told[name] = {"pid": pid, "program": maps[0].split("-")[0], "stack": stack.split("-")[0], "random": memory.read(16).hex()}
print(json.dumps(told))
"""
Layout = dict[str, dict[str, str]]
"""Where each program and its stack lie, and the 16 bytes from which its canary is made (auxv: AT_RANDOM)."""


class Seat(Guest):
    """A guest that the driver runs, asked through its agent."""

    def __init__(self, driver: Hypervisor, spec: LaunchSpec) -> None:
        self.name, self.spec, self.began = spec.run.guest, spec, time.monotonic()
        self._driver, self._folder = driver, spec.folder
        self._agent: socket.socket | None = None

    def wait(self, what: str, found: Callable[[], bool], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s in {self.name}"
            time.sleep(0.3)

    def shell(self, line: str) -> str:
        return self.run("/bin/sh", "-c", line)[1].strip()

    def screen(self) -> Image.Image:
        with Image.open(io.BytesIO(self._driver.screenshot(self.spec.run))) as image:
            return image.convert("RGB")

    def shows(self, *sentences: str) -> bool:
        seen = self.screen()
        if colours(seen) < 16:
            return False
        text = words(seen)
        return all("".join(each.split()) in text for each in sentences)

    def close(self) -> None:
        if self._agent is not None:
            self._lines.close()
            self._agent.close()
            self._agent = None


@dataclass
class Desktop:
    """The workshop in which the image is booted, frozen and cloned."""

    lab: QemuWorkshop
    driver: Hypervisor
    authority: FileAuthority

    def dressed(self, spec: LaunchSpec, number: int) -> LaunchSpec:
        """With a SPICE display: where there is one, the desktop is open from the start."""
        tls = spec.folder / "tls"
        self.authority.issue(tls, name=spec.run.guest, address=GATEWAY, uid=spec.uid)
        told = ((SEAT_NOTE, seat_note(spec.run, name=spec.run.guest, uuid=spec.uuid)), ("forgets", FORGETS))
        return replace(spec, told=told, spice=SpiceDisplay(address=GATEWAY, tls_port=20100 + number, tls=tls, usb=False))

    def machine(self, guest: str, kept: KeptTemplate | None = None, number: int = 99) -> LaunchSpec:
        changes: dict[str, Any] = {"memory_mib": 1024, "cpus": 2, "video": Video.QXL, "on_trial": True}  # we talk to the agent
        if kept is None:
            return self.dressed(self.lab.spec(guest, **changes), number)
        changes["port"] = NetworkPort(tap=InterfaceName(f"tap{number}"), mac=MacAddress(FIRST_MAC + number), model=Nic.VIRTIO)
        return self.dressed(clone_spec(self.lab, guest, kept, **changes), number)


@contextlib.contextmanager
def desktop(image: Path) -> Iterator[Desktop]:
    clear_leftovers()
    ground = Ground()
    try:
        with contextlib.closing(QemuWorkshop(ground.path)) as lab:
            try:
                os.link(image, lab.base)
            except OSError:
                shutil.copyfile(image, lab.base)
            yield Desktop(lab, lab.new(), FileAuthority(ground.path / "secrets"))
    finally:
        ground.close()


def identity(seat: Seat) -> dict[str, str]:
    """What no two computers have in common."""
    listed = "runuser -u student -- xauth -f /run/user/$(id -u student)/.Xauthority list"
    cookie = f"{listed} | grep -F \"$(hostname)/unix:0\" | awk '{{print $3}}'"
    return {
        "host name": seat.shell("hostname"),
        "machine-id": seat.read("/etc/machine-id").decode().strip(),
        "boot id": seat.read("/proc/sys/kernel/random/boot_id").decode().strip(),
        "random": seat.shell("head -c 32 /dev/urandom | od -A n -t x1 | tr -d ' \\n'"),
        "certificate": hashlib.sha256(ssl.PEM_cert_to_DER_cert(seat.read(CERTIFICATE).decode())).hexdigest(),
        "xrdp key": hashlib.sha256(seat.read("/etc/xrdp/key.pem")).hexdigest(),
        "xrdp rsakeys": hashlib.sha256(seat.read("/etc/xrdp/rsakeys.ini")).hexdigest(),
        "X cookie": seat.shell(cookie),
        "run": seat.read("/run/labvirt/run").decode().strip(),
        "vmgenid": seat.shell("od -A n -t x1 -j 40 -N 16 /sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw"),
    }


def layout(seat: Seat) -> Layout:
    told = seat.run("/usr/bin/python3", "-c", LAYOUT, *RENEWED, STAYS)[1]
    found: Layout = json.loads(told)
    assert set(found) == {*RENEWED, STAYS}, told
    return found


def shown_certificate(address: str) -> str | None:
    """SHA-256 of what port 3389 shows of itself (MS-RDPBCGR 5.4.2: TLS after the negotiation)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((address, 3389), timeout=5) as stream:
            stream.settimeout(60)
            stream.sendall(bytes.fromhex("030000130ee000000000000100080001000000"))
            if not stream.recv(64).startswith(b"\x03\x00"):
                return None
            with context.wrap_socket(stream) as secret:
                return hashlib.sha256(secret.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return None


def told(phase: str, seconds: float) -> None:
    print(f"  {seconds:6.1f} s  {phase}", flush=True)


def freeze(made: Desktop) -> tuple[KeptTemplate, dict[str, str], Layout]:
    """The template, with its desktop open; who it was, and where its programs lay."""
    spec = made.machine("lab-a-s15")
    made.driver.templates().prepare(spec)
    seat = Seat(made.driver, spec)
    seat.wait("the agent", seat.answers)
    told("the template's agent answers", seat.seconds())
    seat.wait("the desktop", lambda: seat.shows(seat.name, FORGETS))
    told("its desktop is painted", seat.seconds())
    assert seat.answers()
    who, where = identity(seat), layout(seat)
    seat.close()
    begun = time.monotonic()
    kept = made.driver.templates().freeze(spec.run, NAME, DISKS)
    told("frozen, after", time.monotonic() - begun)
    shutil.rmtree(spec.folder)
    return kept, who, where


def fork(made: Desktop, kept: KeptTemplate, number: int, template: dict[str, str], picture: Path) -> tuple[dict[str, str], Layout]:
    spec = made.machine(f"lab-a-{number:02}", kept, number)
    seat, address = Seat(made.driver, spec), seat_address(number)
    made.driver.templates().clone(spec, NAME)
    told(f"{seat.name} runs", seat.seconds())
    seen = list[str]()

    def answers() -> bool:
        mark = shown_certificate(address)
        if mark is not None:
            seen.append(mark)
        return mark is not None

    seat.wait("port 3389", answers)
    told("its port 3389 answers, at its own address", seat.seconds())
    assert template["certificate"] not in seen, "it answered with its template's key"
    seat.wait("the agent", seat.answers)
    seat.wait("the end of the renewal", lambda: seat.shell("systemctl is-active labvirt-fork") == "inactive")
    told("everything is renewed", seat.seconds())
    ahead = seat.ask("guest-get-time") / 1e9 - time.time()
    assert abs(ahead) < 1, f"its clock is {ahead:.2f} s ahead"
    who, where = identity(seat), layout(seat)
    assert who["host name"] == seat.name
    assert who["run"] == str(spec.run)
    assert who["machine-id"] == spec.uuid.hex
    assert seen[-1] == who["certificate"]
    # A program that is started on the desktop now is let in, by the new cookie and under the new name.
    size = seat.shell("runuser -u student -- env DISPLAY=:0 XAUTHORITY=/run/user/$(id -u student)/.Xauthority xrandr | head -n 1")
    assert "current" in size, size
    seat.wait("the new name on the screen", lambda: seat.shows(seat.name, FORGETS))
    told("its desktop shows its name", seat.seconds())
    seat.screen().save(picture)
    print(f"          clock {ahead:+.2f} s", flush=True)
    seat.close()
    return who, where


def prove(image: Path, work: Path, pictures: Path) -> None:
    with desktop(image) as made, network(SEATS, work):
        kept, template, before = freeze(made)
        seats, layouts = [template], [before]
        for number in range(SEATS):
            who, where = fork(made, kept, number, template, pictures / f"fork-{number}.png")
            seats.append(who)
            layouts.append(where)
    for what in template:
        several = [who[what] for who in seats]
        assert all(several), (what, several)
        assert len(set(several)) == len(seats), f"two have one {what}: {several}"
    for name in RENEWED:
        for what in ("program", "stack", "random"):
            several = [where[name][what] for where in layouts]
            assert len(set(several)) == len(layouts), f"two have one {what} of {name}: {several}"
    same = [where[STAYS] for where in layouts]
    assert same.count(same[0]) == len(same), f"the control: the desktop was to go on, and {STAYS} was started anew: {same}"
    print(json.dumps({"seats": seats, "layouts": layouts}, indent=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, metavar="FILE.qcow2", help="default: the recipe's, built or from the cache")
    parser.add_argument("--pictures", type=Path, metavar="DIR", default=Path("build"), help="of the clones' screens (default: %(default)s)")
    options = parser.parse_args()
    ending.in_order()
    options.pictures.mkdir(parents=True, exist_ok=True)
    image = options.image or built("images/debian-desktop/build.py")
    with tempfile.TemporaryDirectory(prefix="desktop-forks-") as work:
        prove(image.absolute(), Path(work), options.pictures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
