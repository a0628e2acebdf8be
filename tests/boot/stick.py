# SPDX-License-Identifier: MIT
"""`make stick-boot`: a PC starts from a USB stick, one keeps the kiosk on its own disk, and one has a network that dies.

Judged from the PC's serial line, and from what the controller was asked and has sent. Everything runs in a network namespace with
nothing but a loopback interface.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from labvirt.disks import boot_folder, stick
from tests.boot.controller import Controller
from tests.boot.own_disk import on_disk, on_empty_disk
from tests.boot.stick_pc import (
    AWAY,
    IMAGE,
    KEPT,
    NOT_KEPT,
    PATIENCE,
    RIGHT,
    SCREEN,
    SERIAL,
    Figures,
    asks_again,
    kernel_words,
    says,
    started,
    stick_words,
)
from tests.system import apart
from tests.system.recipe import built

PARTS = ("bios", "uefi", "secureboot", "disk", "empty", "networks")


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
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; may be repeated (default: all)")
    parser.add_argument(
        "--until",
        choices=("screen", "program"),
        default="program",
        help="how far the first start from a stick goes: on a busy machine the kiosk program takes many minutes (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args()
    work = apart.folder()
    if work is None:
        folder = options.folder or built("kiosk/image/build.py")
        return apart.again("stick-boot", ["--folder", str(folder.absolute())])
    figures: Figures = {}
    for part in options.only or PARTS:
        print(f"{part}:", flush=True)
        if part == "disk":
            on_disk(options.folder, work, figures)
        elif part == "empty":
            on_empty_disk(options.folder, work, figures)
        elif part == "networks":
            dead_networks(options.folder, work, figures)
        else:
            from_stick(options.folder, work, part, renewal=part == "bios", to_program=options.until == "program", figures=figures)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
