# SPDX-License-Identifier: MIT
"""`make boot-test`: a PC with an empty disk is switched on, and its own screen shows its student's desktop over RDP.

1. A whole controller serves one lab in a network namespace. The PC has a cable to the lab's bridge, and nothing else.
2. Firmware, DHCP, boot loader, kiosk, the question, the guest, its password, FreeRDP: nobody helps. The seat's name is read from the
   pixels of the PC's screen (OCR), not from our own state.
3. The guest is killed: the desktop comes back by itself. The controller is killed: the desktop stays and can be used, and is the same
   when the controller is back.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops

from tests.boot import place
from tests.boot.pc import FIRMWARE, Pc
from tests.desktop.terminal import colours, words
from tests.system import ending, netns
from tests.system.house import House, wait_for
from tests.system.recipe import built

PATIENCE = 900.0
STAYS_SECONDS = 20.0
QUIET_SECONDS = 3.0


class Story:
    """What was reached, and when: seconds since the power button, told while it happens."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seconds: dict[str, float] = {}

    def reached(self, phase: str) -> None:
        self.seconds[phase] = round(time.monotonic() - self.began, 1)
        print(f"  {self.seconds[phase]:6.1f} s  {phase}", flush=True)


class Screen:
    """The PC's screen, as a person sees it. The newest picture is kept in `file`."""

    def __init__(self, pc: Pc, file: Path) -> None:
        self._pc = pc
        self.file = file

    def look(self) -> Image.Image:
        self._pc.picture(self.file)
        with Image.open(self.file) as image:
            return image.convert("RGB")

    def shows_desktop(self) -> bool:
        """The desktop is painted, and it is that of this seat. The kiosk's own face may name the guest, but has no icons."""
        seen = self.look()
        if seen.width < 800 or colours(seen) < 16:
            return False
        text = words(seen)
        return place.GUEST in text and "FileSystem" in text

    def says(self, *some: str) -> bool:
        text = words(self.look()).lower()
        return all(one.lower() in text for one in some)


def different(one: Image.Image, other: Image.Image) -> float:
    """Per cent of the pixels that differ visibly."""
    if one.size != other.size:
        return 100.0
    change = ImageChops.difference(one.convert("L"), other.convert("L"))
    return 100.0 * sum(change.histogram()[40:]) / (one.width * one.height)


def boot(house: House, pc: Pc, screen: Screen, story: Story) -> None:
    """From the power button to the painted desktop."""
    pc.wait("an address", lambda: bool(place.lease(house)), PATIENCE)
    story.reached("address (firmware)")
    size = (house.state / "kiosk" / "current" / "kiosk.squashfs").stat().st_size
    pc.wait("the kiosk's image", lambda: pc.fetched_bytes() > size, PATIENCE)
    story.reached("image fetched")
    pc.wait("the question", lambda: bool(place.guest_run(house)), PATIENCE)
    story.reached("guest started")
    pc.wait("the desktop on the PC's screen", screen.shows_desktop, PATIENCE)
    story.reached("desktop painted")


def kill_guest(house: House, pc: Pc, screen: Screen, story: Story) -> None:
    before = place.guest_run(house)
    house.kill(house.machines()[place.GUEST])
    story.reached("guest killed")
    pc.wait("another picture", lambda: not screen.shows_desktop(), PATIENCE)
    pc.wait("the desktop again", screen.shows_desktop, PATIENCE)
    assert place.guest_run(house) not in ("", before), "it is the guest that was killed"
    story.reached("desktop again")


def kill_controller(house: House, pc: Pc, screen: Screen, story: Story) -> None:
    """Engine and web are gone: the desktop stays and can be used. They come back: it is the same run."""
    before = place.guest_run(house)
    for part in ("serve", "engine", "web"):
        house.kill(house.part(part))
    story.reached("controller killed")
    until = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < until:
        assert screen.shows_desktop(), f"the desktop went with the controller: {screen.file}"
    alive(pc, screen)
    story.reached("desktop used without a controller")
    house.serve()
    assert place.guest_run(house) == before
    assert screen.shows_desktop()
    house.verify_clean()
    story.reached("controller back")


def alive(pc: Pc, screen: Screen) -> None:
    """It is a desktop and not its picture: Ctrl-Escape opens its menu, and Escape closes it."""
    still = screen.look()
    pc.press("ctrl", "esc")
    pc.wait("the menu of the desktop", lambda: different(still, screen.look()) > 1, 120)
    settle(pc, screen, still)


def settle(pc: Pc, screen: Screen, still: Image.Image, looks: int = 3) -> None:
    """The desktop looks as in `still`, and stays so for some looks: what opened meanwhile is closed by Escape."""
    quiet = 0

    def as_before() -> bool:
        nonlocal quiet
        if different(still, screen.look()) < 1:
            quiet += 1
        else:
            quiet = 0
            pc.press("esc")
        time.sleep(QUIET_SECONDS)
        return quiet >= looks

    pc.wait("the desktop as it was", as_before, 300)


def adopt(house: House, pc: Pc, screen: Screen, story: Story) -> None:
    """A stranger lands in the inbox; an admin types what the PC's screen shows."""
    found = wait_for(lambda: house.call("terminal", "inbox"), "the PC in the inbox", PATIENCE / 3)
    (stranger,) = [one for one in found if one["mac"] == place.MAC]
    story.reached("in the inbox")
    pc.wait("the code on the screen", lambda: screen.says(stranger["code"]), PATIENCE)
    story.reached("code on the screen")
    house.call("terminal", "adopt", stranger["code"], "--lab", place.LAB, "--seat", str(place.SEAT), "--class", "rdp")


def escape(pc: Pc, screen: Screen, story: Story) -> None:
    """Keys that end things elsewhere, and the cable out and in: never a shell, always the desktop again."""
    still = screen.look()
    for keys in (("alt", "f4"), ("ctrl", "alt", "f2"), ("ctrl", "alt", "backspace"), ("alt", "sysrq", "b"), ("alt", "sysrq", "k")):
        pc.press(*keys)
        time.sleep(QUIET_SECONDS)
    settle(pc, screen, still, looks=10)  # a key that the terminal does not take may open something in the guest, as is its right
    pc.wait("the desktop after keys that end things elsewhere", screen.shows_desktop, 120)
    alive(pc, screen)
    story.reached("keys")
    pc.plug(False)
    time.sleep(STAYS_SECONDS)
    pc.plug(True)
    pc.wait("the desktop after the cable was out", screen.shows_desktop, PATIENCE)
    alive(pc, screen)
    story.reached("cable out and in")


def prove(options: argparse.Namespace, work: Path) -> dict[str, object]:
    picture = options.picture.absolute()
    picture.parent.mkdir(parents=True, exist_ok=True)
    desktop, kiosk = built("images/debian-desktop/build.py"), built("kiosk/image/build.py")
    netns.remove_leftovers()
    with House(work, 1) as house:
        place.set_up(house, desktop, kiosk, adopt=options.adopt)
        wait_for(lambda: netns.has_link(house.namespace, house.bridge), "the lab's bridge")
        (work / "pc").mkdir()
        story = Story()
        pc = Pc(work / "pc", house.namespace, house.bridge, place.MAC, FIRMWARE[options.firmware], memory_mib=options.memory)
        screen = Screen(pc, picture)
        try:
            if options.adopt:
                adopt(house, pc, screen, story)
            boot(house, pc, screen, story)
            bytes_fetched = pc.fetched_bytes()
            steps: list[Callable[[], None]] = [
                lambda: escape(pc, screen, story),
                lambda: kill_guest(house, pc, screen, story),
                lambda: kill_controller(house, pc, screen, story),
            ]
            for step in steps if not options.only_boot else []:
                step()
            screen.look()
        except BaseException:
            print(house.logs(), file=sys.stderr)
            raise
        finally:
            pc.close()
    return {"firmware": options.firmware, "seconds": story.seconds, "bytes_to_the_pc_until_painted": bytes_fetched}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firmware", choices=sorted(FIRMWARE), default="bios", help="of the PC (default: %(default)s)")
    parser.add_argument("--memory", type=int, default=2048, metavar="MIB", help="of the PC (default: %(default)s)")
    parser.add_argument("--adopt", action="store_true", help="nobody knows the PC: it is adopted by the code on its screen")
    parser.add_argument("--only-boot", action="store_true", help="end when the desktop is painted")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", default=Path("build/boot-test.png"), help="the PC's screen (default: %(default)s)"
    )
    options = parser.parse_args()
    ending.in_order()
    with tempfile.TemporaryDirectory(prefix="boot-test-") as folder:
        told = prove(options, Path(folder))
    text = json.dumps(told, indent=1)
    print(text)
    print(f"The PC's screen: {options.picture}")
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
