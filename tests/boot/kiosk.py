# SPDX-License-Identifier: MIT
"""`make kiosk-boot`: a PC with an empty disk boots the built kiosk from the network and shows the controller's line.

Judged from the PC's own screen and serial line. Everything runs in a network namespace with nothing but a loopback interface.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from PIL import Image, ImageChops

from tests.boot.computer import MAC, Computer
from tests.boot.controller import Controller
from tests.system import apart
from tests.system.house import wait_for
from tests.system.recipe import built

PATIENCE = 600.0
CODES = ("K7WQ2M", "ZZ44ZZ")
PIXELS = 1280 * 800
SAME = 0.02
"""Per cent of the pixels that may differ in two pictures of one screen: a blinking cursor, and less than a letter."""

SAID = {
    "kernel": "This computer is starting",
    "address": "Address 10.0.2.",
    "image": "The kiosk is here",
    "screen": "Starting the screen",
}
"""Phase -> what the PC says on its serial line when it gets there."""


PHASES = ("kernel", "modules", "address", "fetched", "image", "mounted", "root", "devices", "screen", "kiosk", "answer")
"""What a terminal that nobody knows reaches of its time line, and tells."""


def menu(folder: Path, port: int, *more: str) -> str:
    """grub.cfg, as the lab's is rendered, with the serial line and `more` words for the kernel added."""
    sha256 = json.loads((folder / "manifest.json").read_text())["files"]["kiosk.squashfs"]["sha256"]
    url = f"http://10.0.2.2:{port}/"
    named = (f"labvirt.url={url}", f"labvirt.image={url}boot/kiosk.squashfs", f"labvirt.sha256={sha256}")
    words = " ".join((*named, "ip=dhcp", "quiet", "console=tty0", "console=ttyS0,115200", *more))
    return f"linux (http,10.0.2.2:{port})/boot/vmlinuz {words}\ninitrd (http,10.0.2.2:{port})/boot/initrd.img\nboot\n"


def bright_share(picture: Path) -> float:
    """Per cent of the screen in a light colour: letters."""
    with Image.open(picture) as image:
        grey = image.convert("L")
        return 100.0 * sum(grey.histogram()[160:]) / (grey.width * grey.height)


def is_graphic(picture: Path) -> bool:
    with Image.open(picture) as image:
        return image.width >= 800


def different(one: Path, other: Path) -> set[int]:
    """The places of the pixels that differ; all of them when the pictures have not the same size."""
    with Image.open(one) as first, Image.open(other) as second:
        if first.size != second.size:
            return set(range(PIXELS))
        change = ImageChops.difference(first.convert("L"), second.convert("L")).tobytes()
    return {place for place, amount in enumerate(change) if amount > 40}


def boot(folder: Path, work: Path, picture: Path, memory_mib: int) -> dict[str, object]:
    tftp = work / "tftp"
    (tftp / "grub").mkdir(parents=True)
    (tftp / "core.0").write_bytes((folder / "core.0").read_bytes())
    controller = Controller(folder, CODES[0])
    (tftp / "grub" / "grub.cfg").write_text(menu(folder, controller.port))
    seconds: dict[str, float] = {}
    controller.began = began = time.monotonic()
    computer = Computer(work, tftp, memory_mib=memory_mib)

    def reached(phase: str) -> None:
        seconds[phase] = round(time.monotonic() - began, 1)
        print(f"  {seconds[phase]:6.1f} s  {phase}", flush=True)

    try:
        computer.wait("the boot loader", lambda: any("begins vmlinuz" in what for _, what in controller.events), PATIENCE)
        reached("loader")
        for phase, words in SAID.items():
            computer.wait(phase, lambda words=words: words in computer.serial(), PATIENCE)  # type: ignore[misc]
            reached(phase)
        computer.wait("the kiosk program", lambda: len(controller.asked) > 0, PATIENCE)
        reached("asked")
        computer.picture(picture)
        assert controller.asked[0].lower().replace("-", ":") == MAC, controller.asked

        # The line is the controller's and no other: it changes with the code there, and is the same again when the code is. What moves
        # by itself (a bar, seconds that are counted) is learnt first and left out.
        def shows_line() -> bool:
            computer.picture(picture)
            return is_graphic(picture) and 0.05 < bright_share(picture) < 20

        other = work / "other.png"
        moving: set[int] = set()

        def difference() -> float:
            computer.picture(other)
            return 100.0 * len(different(picture, other) - moving) / PIXELS

        def learn() -> None:
            asked = len(controller.asked)
            computer.picture(picture)
            while len(controller.asked) < asked + 4:
                computer.picture(other)
                moving.update(different(picture, other))
                time.sleep(0.3)

        computer.wait("a line on the screen", shows_line, PATIENCE)
        reached("line")
        asked = len(controller.asked)
        computer.wait("three more questions", lambda: len(controller.asked) > asked + 3, PATIENCE)
        learn()
        controller.code = CODES[1]
        computer.wait("the second code", lambda: SAME < difference() < 5, PATIENCE)
        controller.code = CODES[0]
        computer.wait("the first code again", lambda: difference() < SAME, PATIENCE)
        reached("code")
        for keys in (("alt", "f4"), ("ctrl", "alt", "f2"), ("ctrl", "alt", "backspace"), ("alt", "sysrq", "b"), ("ctrl", "alt", "delete")):
            computer.press(*keys)
        asked = len(controller.asked)
        computer.wait("the kiosk after keys that might end it", lambda: len(controller.asked) > asked + 1, PATIENCE)
        computer.wait("the same screen after those keys", lambda: difference() < SAME, PATIENCE)
        reached("keys")
        computer.wait("its time line", lambda: len(controller.boots) > 0, PATIENCE)
        told = controller.boots[0]
        assert not any("leaving" in beat for beat in controller.beats), "a goodbye before the power button"
        computer.ask("system_powerdown")
        deadline = time.monotonic() + 60
        while not computer.is_off() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert computer.is_off(), "the power button did nothing"
        # What is still to be read from its connection was sent before it went off.
        wait_for(lambda: any("leaving" in beat for beat in controller.beats), "the goodbye", 5)
        assert controller.beats[-1] == {"viewer": "none", "leaving": "shutdown"}, controller.beats
        reached("off")
    finally:
        computer.close()
        controller.close()
        (work / "events.json").write_text(json.dumps(controller.events))
    assert set(told) >= {f"phase_{name}" for name in PHASES}, told
    assert (told["complete"], told["image_bytes"]) == ("no", str(controller.bytes_sent["kiosk.squashfs"])), told
    return {"seconds": seconds, "told": told, "bytes": controller.bytes_sent, "bytes_all": sum(controller.bytes_sent.values())}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a boot folder (default: the recipe's, built or from the cache)")
    parser.add_argument("--memory", type=int, default=1536, metavar="MIB", help="of the PC (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", default=Path("build/kiosk-boot.png"), help="the PC's screen (default: %(default)s)"
    )
    options = parser.parse_args()
    picture = options.picture.absolute()
    work = apart.folder()
    if work is None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        folder = options.folder or built("kiosk/image/build.py")
        return apart.again("kiosk-boot", ["--folder", str(folder.absolute())])
    figures = boot(options.folder, work, picture, options.memory)
    text = json.dumps(figures, indent=1)
    print(text)
    print(f"The PC's screen: {options.picture}")
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
