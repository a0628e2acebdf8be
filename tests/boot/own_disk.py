# SPDX-License-Identifier: MIT
"""The parts `disk` and `empty` of `make stick-boot`: a PC keeps the kiosk on its own disk, prepared by somebody, or empty."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from labvirt.disks import boot_folder
from tests.boot.controller import Controller
from tests.boot.stick_pc import IMAGE, KEPT, NOT_KEPT, RIGHT, SCREEN, Figures, kernel_words, says, started

TAKEN = "This computer's disk (sda) was empty: the kiosk is kept there from now on"


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


def on_empty_disk(folder: Path, work: Path, figures: Figures) -> None:
    """A SATA disk of zeros: without the setting it stays so, and with it the second start fetches nothing of the image."""
    controller = Controller(folder, "K7WQ2M")
    whole = (folder / IMAGE).stat().st_size
    url = f"http://10.0.2.2:{controller.port}/"
    sha256 = boot_folder.read(folder).image_sha256
    loaded = kernel_words(folder, f"labvirt.url={url} labvirt.image={url}boot/{IMAGE} labvirt.sha256={sha256} ip=dhcp quiet")
    disk = work / "empty.raw"
    with disk.open("xb") as stream:
        stream.truncate(1 << 30)

    def start(what: str, sentence: str, fetched: int) -> None:
        controller.bytes_sent.clear()
        words = [*loaded, "-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", "ide-hd,drive=disk"]
        with started(what, work, words, figures) as computer:
            says(computer, sentence)
            says(computer, SCREEN)
        figures[f"{what}: bytes of the image"] = controller.bytes_sent.get(IMAGE, 0)
        assert controller.bytes_sent.get(IMAGE, 0) == fetched, (what, controller.bytes_sent)

    start("empty disk, setting off", "The kiosk is here", whole)
    assert disk.stat().st_blocks == 0, "somebody has written to a disk that nobody gave away"
    controller.settings["keep_on_disk"] = "on"
    start("empty disk, setting on", TAKEN, whole)
    start("the start after that", RIGHT, 0)
    disk.unlink()
    controller.close()
