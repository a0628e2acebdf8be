# SPDX-License-Identifier: MIT
"""`make stick-boot`: a PC starts from a USB stick, one keeps the kiosk on its own disk, and one has a network that dies.

Judged from the PC's serial line, and from what the controller was asked and has sent. Everything runs in a network namespace with
nothing but a loopback interface.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labvirt.disks import boot_folder, stick
from tests.boot.controller import Controller
from tests.boot.kiosk import ROOT
from tests.boot.stick_pc import SERIAL, StickPc, kernel_words, stick_words

INSIDE = "LABVIRT_STICK_BOOT_INSIDE"
PATIENCE = 400.0
IMAGE = "kiosk.squashfs"
RIGHT = "The kiosk on this computer's disk is the right one"
KEPT = "The kiosk is kept on this computer's disk"
NOT_KEPT = "The kiosk could not be kept on this computer's disk"
SCREEN = "Starting the screen"
"""The last words before X; that the kiosk program then asks is proved once for each firmware: it takes longest."""
AWAY = "does not answer: is it on"
Figures = dict[str, Any]


@contextmanager
def started(what: str, work: Path, words: list[str], figures: Figures, **more: Any) -> Iterator[StickPc]:
    """A PC that is on; the seconds until its block ends are told."""
    began = time.monotonic()
    computer = StickPc(work / re.sub(r"\W+", "-", what), words, **more)
    try:
        yield computer
    finally:
        computer.close()
    figures[what] = round(time.monotonic() - began, 1)
    print(f"  {figures[what]:6.1f} s  {what}", flush=True)


def says(computer: StickPc, words: str) -> None:
    computer.wait(f"the sentence {words!r}", lambda: words in computer.serial(), PATIENCE)


def asks_again(computer: StickPc, controller: Controller) -> None:
    """The kiosk program of this PC has asked the controller, after now."""
    before = len(controller.asked)
    computer.wait("the kiosk program's question", lambda: len(controller.asked) > before, PATIENCE)


def newer(folder: Path, target: Path) -> None:
    """A boot folder with other bytes that work alike: zeros behind a squashfs or a cpio archive mean nothing."""
    shutil.copytree(folder, target)
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").chmod(0o644)
    for name in (IMAGE, "initrd.img"):
        (target / name).chmod(0o644)
        with (target / name).open("ab") as stream:
            stream.write(bytes(4096))
        told = subprocess.run(["sha256sum", str(target / name)], check=True, capture_output=True, text=True).stdout.split()[0]
        manifest["files"][name] = {"size": (target / name).stat().st_size, "sha256": told}
    manifest["version"] = "newer"
    (target / "manifest.json").write_text(json.dumps(manifest))


def from_stick(folder: Path, work: Path, firmware: str, *, renewal: bool, to_program: bool, figures: Figures) -> None:
    controller = Controller(folder, "K7WQ2M")
    port = controller.port
    controller.close()
    image = work / f"{firmware}.img"
    began = time.monotonic()
    stick.make(folder, boot_folder.read(folder), f"http://10.0.2.2:{port}/", image, words=SERIAL)
    figures[f"{firmware} make the stick"] = round(time.monotonic() - began, 1)
    figures["stick bytes"], figures["stick bytes on disk"] = image.stat().st_size, image.stat().st_blocks * 512
    with started(f"{firmware} controller away, then there", work, stick_words(image), figures, firmware=firmware) as computer:
        says(computer, AWAY)
        controller = Controller(folder, "K7WQ2M", port)
        says(computer, RIGHT)
        says(computer, SCREEN)
        if to_program:
            asks_again(computer, controller)
    sent = dict(controller.bytes_sent)
    assert set(sent) == {"manifest.json"}, sent
    if renewal:
        newer(folder, work / "newer")
        controller.folder = work / "newer"
        controller.bytes_sent.clear()
        with started(f"{firmware} a newer kiosk", work, stick_words(image), figures, firmware=firmware) as computer:
            says(computer, KEPT)
            says(computer, "This stick begins with the newer kiosk now")
            says(computer, RIGHT)  # by itself, from the stick
            says(computer, SCREEN)
        sent = dict(controller.bytes_sent)
        figures["bytes sent for a newer kiosk"] = sent
        assert {name: sent.get(name) for name in (IMAGE, "initrd.img", "vmlinuz")} == {
            name: (work / "newer" / name).stat().st_size for name in (IMAGE, "initrd.img", "vmlinuz")
        }, sent
        controller.bytes_sent.clear()
        with started(f"{firmware} the start after that", work, stick_words(image), figures, firmware=firmware) as computer:
            says(computer, RIGHT)
            says(computer, SCREEN)
        assert set(controller.bytes_sent) == {"manifest.json"}, controller.bytes_sent
        figures["bytes sent after that"] = sum(controller.bytes_sent.values())
        # a stick that nobody can write to starts all the same, with what it has
        controller.folder = folder
        controller.bytes_sent.clear()
        words = stick_words(image, read_only=True)
        with started(f"{firmware} write-protected, another kiosk", work, words, figures, firmware=firmware) as computer:
            says(computer, NOT_KEPT)
            says(computer, "The newer start could not be kept")
            says(computer, SCREEN)
        assert controller.bytes_sent[IMAGE] == (folder / IMAGE).stat().st_size
    controller.close()
    image.unlink()


def disk_with_cache(target: Path, mib: int, content: bytes | None) -> None:
    """A disk with one partition labelled LABVIRT, and with a file of this content in the image's place."""
    with target.open("xb") as stream:
        stream.truncate((mib + 2) << 20)
    subprocess.run(
        ["/usr/sbin/sfdisk", "-q", str(target)],
        input=f"label: gpt\nstart=2048, size={mib * 2048}\n",
        text=True,
        check=True,
        capture_output=True,
    )
    with tempfile.TemporaryDirectory(dir=target.parent) as tree:
        if content is not None:
            (Path(tree) / IMAGE).write_bytes(content)
        make_it = ["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", "LABVIRT", "-E", "offset=1048576", "-d", tree]
        subprocess.run([*make_it, str(target), f"{mib}m"], check=True, capture_output=True)


def on_disk(folder: Path, work: Path, figures: Figures) -> None:
    controller = Controller(folder, "K7WQ2M")
    whole = (folder / IMAGE).read_bytes()
    sha256 = boot_folder.read(folder).image_sha256
    url = f"http://10.0.2.2:{controller.port}/"
    loaded = kernel_words(folder, f"labvirt.url={url} labvirt.image={url}boot/{IMAGE} labvirt.sha256={sha256} ip=dhcp quiet")

    def start(what: str, disk: Path, sentence: str, fetched: int, *, read_only: bool = False) -> None:
        controller.bytes_sent.clear()
        drive = ["-drive", f"if=none,id=disk,format=raw,file={disk}{',readonly=on' if read_only else ''}", "-device", "virtio-scsi-pci"]
        with started(what, work, [*loaded, *drive, "-device", "scsi-hd,drive=disk"], figures) as computer:
            says(computer, sentence)
            says(computer, SCREEN)
        assert controller.bytes_sent.get(IMAGE, 0) == fetched, (what, controller.bytes_sent)

    disk = work / "disk.raw"
    disk_with_cache(disk, 300, None)
    start("disk empty", disk, KEPT, len(whole))
    start("disk filled", disk, RIGHT, 0)
    disk.unlink()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    disk_with_cache(disk, 300, bytes(damaged))
    start("disk with one wrong bit, read-only", disk, NOT_KEPT, len(whole), read_only=True)
    start("disk with one wrong bit", disk, KEPT, len(whole))
    start("disk mended", disk, RIGHT, 0)
    disk.unlink()
    disk_with_cache(disk, 100, None)
    start("disk too small", disk, NOT_KEPT, len(whole))
    disk.unlink()
    controller.close()


def dead_networks(folder: Path, work: Path, figures: Figures) -> None:
    controller = Controller(folder, "K7WQ2M")
    port = controller.port
    sha256 = boot_folder.read(folder).image_sha256
    url = f"http://10.0.2.2:{port}/"
    loaded = kernel_words(folder, f"labvirt.url={url} labvirt.image={url}boot/{IMAGE} labvirt.sha256={sha256} ip=dhcp quiet")

    def step(what: str, act: Callable[[], None]) -> None:
        began = time.monotonic()
        act()
        figures[what] = round(time.monotonic() - began, 1)
        print(f"  {figures[what]:6.1f} s  {what}", flush=True)

    def sentences(words: str) -> int:
        return computer.serial().count(words)

    def stays_silent(seconds: float) -> None:
        """Long enough for a lease or a question to fail, and nothing came."""
        time.sleep(2)
        before = len(controller.asked)
        time.sleep(seconds)
        assert len(controller.asked) == before

    with started("networks, all of it", work, loaded, figures, plugged=False) as computer:
        step("cable out before the start: a sentence", lambda: says(computer, "No address from the network: is the cable in"))
        seen = sentences("No address from the network")
        computer.hear(False)
        computer.plug(True)
        step(
            "cable in, DHCP server silent: again",
            lambda: computer.wait(
                "another try", lambda: sentences("Asking for an address") > 0 and sentences("No address") > seen + 6, PATIENCE
            ),
        )
        controller.pause_seconds = 0.05
        computer.hear(True)
        step("DHCP server there: an address", lambda: says(computer, "Address 10.0.2."))
        computer.wait("a quarter of the image", lambda: controller.bytes_sent.get(IMAGE, 0) > 40_000_000, PATIENCE)
        computer.plug(False)
        step("cable out while fetching: a sentence", lambda: says(computer, "could not be fetched"))
        controller.pause_seconds = 0.0
        computer.plug(True)
        step("cable in: the kiosk", lambda: says(computer, "The kiosk is here"))
        step("its question", lambda: asks_again(computer, controller))
        computer.plug(False)
        stays_silent(20)
        computer.plug(True)
        step("cable in again while running: its question", lambda: asks_again(computer, controller))
        controller.close()
        time.sleep(15)
        controller = Controller(folder, "K7WQ2M", port)
        step("controller back while running: its question", lambda: asks_again(computer, controller))
    controller.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a boot folder (default: the recipe's, built or from the cache)")
    parser.add_argument(
        "--only", action="append", choices=("bios", "uefi", "secureboot", "disk", "networks"), help="a part; may be repeated (default: all)"
    )
    parser.add_argument(
        "--until",
        choices=("screen", "program"),
        default="program",
        help="how far the first start from a stick goes: on a busy machine the kiosk program takes many minutes (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    work = os.environ.get(INSIDE)
    if work is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that an ordered end cleans up too
        folder = options.folder
        if folder is None:
            recipe = ["/usr/bin/python3", "-I", str(ROOT / "kiosk" / "image" / "build.py"), "--json"]
            folder = Path(json.loads(subprocess.run(recipe, check=True, stdout=subprocess.PIPE).stdout)["path"])
        argv = [*sys.orig_argv, "--folder", str(folder.absolute())]
        # PRIVILEGE: as in kiosk.py: a network with a loopback interface only, and processes that end with the first.
        apart = ["unshare", "--net", "--pid", "--fork", "--kill-child", *([] if os.geteuid() == 0 else ["--map-root-user"])]
        inner = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", *argv]
        with tempfile.TemporaryDirectory(prefix="stick-boot-") as made:
            return subprocess.run([*apart, *inner], env={**os.environ, INSIDE: made}).returncode
    figures: Figures = {}
    for part in options.only or ("bios", "uefi", "secureboot", "disk", "networks"):
        print(f"{part}:", flush=True)
        if part == "disk":
            on_disk(options.folder, Path(work), figures)
        elif part == "networks":
            dead_networks(options.folder, Path(work), figures)
        else:
            from_stick(options.folder, Path(work), part, renewal=part == "bios", to_program=options.until == "program", figures=figures)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
