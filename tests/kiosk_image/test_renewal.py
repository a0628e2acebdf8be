# SPDX-License-Identifier: MIT
"""The script of the initial file system, run by busybox over a folder in the cache's place: what is kept, renewed, and left as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "kiosk" / "image" / "initrd" / "lib"
BUSYBOX = shutil.which("busybox")
FILES = ("vmlinuz", "initrd.img", "kiosk.squashfs")

pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="busybox is not installed")

STAGE = """
say() { echo "$1"; }
say_over() { :; }
phase() { :; }
mount() { :; }
umount() { :; }
sync() { :; }
sleep() { :; }
load_modules() { :; }
findfs() { echo disk; }
reboot() { echo "reboots $*"; }
wget() { # the controller: a folder
    for word; do case $word in http:*) from=$word ;; esac; done
    while [ $# -gt 0 ]; do [ "$1" = -O ] && to=$2; shift; done
    echo "${from##*/}" >> ROOT/asked
    [ -f "ROOT/controller/${from##*/}" ] && cat "ROOT/controller/${from##*/}" > "$to"
}
read_words "labvirt.url=http://10.0.0.1/ labvirt.disk=UUID=1 ip=dhcp"
"""


class Terminal:
    """The script's folders in one of ours; `controller` serves what serve() puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("cache/boot", "ram", "run/labvirt", "controller"):
            (root / name).mkdir(parents=True)
        text = (LIBRARY / "boot.sh").read_text() + (LIBRARY / "disk.sh").read_text().replace("/sys/", f"{root}/sys/")
        for name in ("/cache", "/ram/", "/run/labvirt"):
            text = text.replace(name, f"{root}{name}")
        self.script = text + STAGE.replace("ROOT", str(root))

    def serve(self, version: str) -> None:
        files = {}
        for name in FILES:
            data = f"{name} {version}".encode()
            (self.root / "controller" / name).write_bytes(data)
            files[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        (self.root / "controller" / "manifest.json").write_text(json.dumps({"files": files}, indent=1))

    def start(self) -> str:
        """What the terminal said; `asked` is what it fetched."""
        assert BUSYBOX is not None
        (self.root / "asked").write_text("")
        body = f'{self.script}\nif know_image && have_image; then renew_start; else echo "$trouble"; fi'
        done = subprocess.run([BUSYBOX, "sh", "-u", "-c", body], capture_output=True, text=True, timeout=120)
        assert done.stderr == ""
        return done.stdout

    @property
    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().split()

    def kept(self) -> dict[str, str]:
        folder = self.root / "cache"
        return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    made = Terminal(tmp_path)
    made.serve("one")
    for name in FILES:
        place = "boot/" if name != "kiosk.squashfs" else ""
        (tmp_path / "cache" / f"{place}{name}").write_text(f"{name} one")
    return made


def test_what_is_the_same_is_not_fetched(terminal: Terminal) -> None:
    before = terminal.kept()
    said = terminal.start()
    assert "is the right one" in said
    assert "reboots" not in said
    assert terminal.asked == ["manifest.json"]
    assert terminal.kept() == before


def test_what_is_newer_is_kept_and_started(terminal: Terminal) -> None:
    terminal.serve("two")
    said = terminal.start()
    assert "is kept on this computer's disk" in said
    assert said.index("newer kiosk now") < said.index("reboots -f")
    assert terminal.asked == ["manifest.json", "kiosk.squashfs", "vmlinuz", "initrd.img"]
    kept = terminal.kept()
    assert {kept["kiosk.squashfs"], kept["boot/vmlinuz"], kept["boot/initrd.img"]} == {f"{name} two" for name in FILES}
    assert kept["boot.old/vmlinuz"] == "vmlinuz one"
    again = terminal.start()
    assert "reboots" not in again
    assert terminal.asked == ["manifest.json"]


def test_a_start_that_came_damaged_is_not_kept(terminal: Terminal) -> None:
    terminal.serve("two")
    (terminal.root / "controller" / "initrd.img").write_text("cut")
    said = terminal.start()
    assert "could not be kept on this stick" in said
    assert "reboots" not in said
    kept = terminal.kept()
    assert (kept["boot/vmlinuz"], kept["boot/initrd.img"]) == ("vmlinuz one", "initrd.img one")
    assert not [name for name in kept if name.startswith("boot.new")]
    terminal.serve("two")
    assert "reboots -f" in terminal.start()


def test_a_renewal_that_was_cut_between_two_names_is_ended(terminal: Terminal) -> None:
    (terminal.root / "cache/boot").rename(terminal.root / "cache/boot.new")
    assert "reboots" not in terminal.start()
    assert terminal.kept()["boot/vmlinuz"] == "vmlinuz one"
    terminal.serve("two")
    assert "reboots -f" in terminal.start()


def test_a_damaged_image_is_fetched_again(terminal: Terminal) -> None:
    (terminal.root / "cache/kiosk.squashfs").write_text("kiosk.squashfs onf")
    said = terminal.start()
    assert "is kept on this computer's disk" in said
    assert terminal.asked == ["manifest.json", "kiosk.squashfs"]
    assert terminal.kept()["kiosk.squashfs"] == "kiosk.squashfs one"
    terminal.start()
    assert terminal.asked == ["manifest.json"]


def test_a_disk_of_a_pc_gets_no_start(terminal: Terminal) -> None:
    shutil.rmtree(terminal.root / "cache/boot")
    terminal.serve("two")
    assert "reboots" not in terminal.start()
    assert set(terminal.kept()) == {"kiosk.squashfs"}


def test_a_controller_that_is_away_or_names_nothing_is_a_sentence(terminal: Terminal) -> None:
    manifest = terminal.root / "controller" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text("{}")
    assert "names no kiosk" in terminal.start()
    manifest.unlink()
    assert "does not answer" in terminal.start()
    manifest.write_text(text)
    assert "is the right one" in terminal.start()
