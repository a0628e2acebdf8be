# SPDX-License-Identifier: MIT
"""`make desktop-test`: the desktop guest boots, the agent gives it a password, and a terminal shows the desktop with the seat's name.

Judged from pixels (by OCR) and by the guest's agent. Everything runs in a network namespace with nothing but a loopback interface.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from labvirt.domain.certificate import fingerprint
from labvirt.engine.logins import CERTIFICATE, mint_password
from tests.desktop.guest import Guest
from tests.desktop.terminal import Viewer, colours, words
from tests.kiosk.screen import Screen, open_screen
from tests.system import apart
from tests.system.recipe import built

PATIENCE = 600.0
USER = "student"
FORGETS = "This computer forgets everything"
LATER = "Written by the agent."
TOLD = "Nothing is kept here. Ask room nine."
KEYS_ON_DISK = "grep -rlE 'PRIVATE KEY|pri_exp' /etc /root /home /var --exclude-dir=python3 2>/dev/null; true"


class Story:
    """Seconds of each phase, told while they happen."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def reached(self, phase: str, guest: Guest) -> None:
        self.seconds[phase] = guest.seconds()
        print(f"  {self.seconds[phase]:6.1f} s  {phase}", flush=True)


def identity(guest: Guest) -> dict[str, str]:
    """What must be different in every two guests, as the guest itself tells it."""
    mark = fingerprint(guest.read(CERTIFICATE))
    assert mark is not None
    subject = guest.run("/usr/bin/openssl", "x509", "-in", CERTIFICATE, "-noout", "-subject")[1].strip()
    assert subject.replace(" ", "").endswith(f"CN={guest.name}"), subject
    host = guest.run("/usr/bin/hostname")[1].strip()
    assert host == guest.name
    return {"host name": host, "machine-id": guest.read("/etc/machine-id").decode().strip(), "certificate": mark}


def locked(guest: Guest) -> bool:
    """Nobody can sign in with a password."""
    return guest.run("/usr/bin/passwd", "-S", USER)[1].split()[1] == "L"


def is_uefi(guest: Guest) -> bool:
    return guest.run("/usr/bin/test", "-d", "/sys/firmware/efi")[0] == 0


def listens(guest: Guest) -> bool:
    """xrdp answers the first packet of the protocol (X.224 connection request), not only TCP."""
    try:
        with socket.create_connection(("127.0.0.1", guest.port), timeout=2) as stream:
            stream.settimeout(10)
            stream.sendall(bytes.fromhex("030000130ee000000000000100080003000000"))
            return stream.recv(64).startswith(b"\x03\x00")
    except OSError:
        return False


def shows(picture: Callable[[], Image.Image | None], name: str, sentence: str) -> Callable[[], bool]:
    """The desktop is painted: the picture has colours, the seat's name and the sentence in it."""

    def look() -> bool:
        seen = picture()
        if seen is None or colours(seen) < 16:
            return False
        text = words(seen)
        return name in text and "".join(sentence.split()) in text

    return look


def over_rdp(guest: Guest, screen: Screen, work: Path, picture: Path, story: Story) -> None:
    """A refused viewer, then the right one; then one that comes again with a new password and finds the same session."""
    mark = fingerprint(guest.read(CERTIFICATE))
    assert mark is not None
    assert locked(guest), "the user has a password before anybody gave one"
    password = mint_password(USER)
    guest.set_password(USER, password)
    assert not locked(guest)
    story.reached("password", guest)

    stranger = Viewer(screen, guest.port, USER, password, "00" * 32, work / "stranger.log")
    try:
        guest.wait("the refusal of another certificate", lambda: stranger.ended() is not None, PATIENCE)
        assert stranger.ended() != 0, stranger.said()
    finally:
        stranger.close()

    sessions = set[str]()
    for turn in ("desktop painted", "desktop again"):
        viewer = Viewer(screen, guest.port, USER, password, mark, work / f"{turn.split()[1]}.log")
        try:
            story.reached(f"viewer for {turn}", guest)
            painted = shows(screen.picture, guest.name, FORGETS)

            def seen(viewer: Viewer = viewer, painted: Callable[[], bool] = painted) -> bool:
                assert viewer.ended() is None, f"the viewer ended: {viewer.said()[-1500:]}"
                return painted()

            guest.wait(turn, seen, PATIENCE)
            story.reached(turn, guest)
            taken = screen.picture()
            assert taken is not None
            taken.save(picture)
            sessions.add(guest.run("/usr/bin/pgrep", "-x", "xfce4-session")[1].strip())
        finally:
            viewer.close()
        password = mint_password(USER)
        guest.set_password(USER, password)
    assert len(sessions) == 1, f"the second viewer got another session: {sessions}"


def on_the_console(guest: Guest, work: Path, picture: Path, story: Story) -> None:
    """The SPICE display signs the user in by itself, and paints."""

    def display() -> Image.Image | None:
        guest.picture(work / "console.png")
        with Image.open(work / "console.png") as image:
            return image.convert("RGB")

    assert locked(guest), "the password of the seat before still counts"
    guest.wait("desktop on the SPICE display", shows(display, guest.name, TOLD), PATIENCE)
    story.reached("desktop painted", guest)
    (work / "console.png").replace(picture)
    assert guest.run("/usr/bin/pgrep", "-u", USER, "-c", "-x", "spice-vdagent")[1].strip() == "1"


def switch_off(guest: Guest) -> None:
    guest.monitor("system_powerdown")
    deadline = time.monotonic() + PATIENCE
    while not guest.is_off():
        assert time.monotonic() < deadline, "the power button did nothing"
        time.sleep(0.3)


def prove(image: Path, work: Path, picture: Path) -> dict[str, object]:
    told: dict[str, object] = {}
    seats: list[dict[str, str]] = []
    print("An RDP seat, BIOS, 1 GiB, 2 virtual processors:", flush=True)
    story, first = Story(), Guest(image, work / "one", "lab-a-07", 13389)
    try:
        first.wait("port 3389", lambda: listens(first), PATIENCE)
        story.reached("port 3389", first)
        first.wait("the agent", first.answers, PATIENCE)
        story.reached("agent", first)
        seats.append(identity(first))
        assert not is_uefi(first)
        assert first.run("/bin/sh", "-c", KEYS_ON_DISK)[1].split() == [], "there is a key on the disk"
        assert "active" not in first.run("/usr/bin/systemctl", "is-active", "labvirt-console")[1].split(), "a desktop nobody looks at"
        with open_screen(1280, 800) as screen:
            over_rdp(first, screen, work, picture, story)
        first.write("/etc/labvirt/forgets", LATER.encode())
        first.wait(
            "a picture with the sentence that the agent wrote", lambda: LATER.encode() in first.read("/run/labvirt/background.svg"), 120
        )
        told["memory"] = first.run("/usr/bin/free", "-m")[1].splitlines()[1].split()[2]
        switch_off(first)
        story.reached("off", first)
        told["rdp"] = story.seconds
    finally:
        first.close()

    # What the first seat wrote becomes the image of the second, as an admin session's disk does: nothing of it may be the second's.
    print("A SPICE seat, UEFI, that starts from what the first has written:", flush=True)
    story, second = Story(), Guest(work / "one" / "overlay.qcow2", work / "two", "lab-b-12", 13390, spice=True, uefi=True, told=TOLD)
    try:
        second.wait("the agent", second.answers, PATIENCE)
        story.reached("agent", second)
        seats.append(identity(second))
        assert is_uefi(second)
        on_the_console(second, work, picture.with_stem(picture.stem + "-spice"), story)
        told["spice"] = story.seconds
    finally:
        second.close()
    for what in seats[0]:
        assert seats[0][what] != seats[1][what], f"two seats have one {what}: {seats}"
    return {**told, "seats": seats}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, metavar="FILE.qcow2", help="default: the recipe's, built or from the cache")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", default=Path("build/desktop.png"), help="the terminal's screen (default: %(default)s)"
    )
    options = parser.parse_args()
    picture = options.picture.absolute()
    work = apart.folder()
    if work is None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        image = options.image or built("images/debian-desktop/build.py")
        return apart.again("desktop-test", ["--image", str(image.absolute())])
    figures = prove(options.image, work, picture)
    text = json.dumps(figures, indent=1)
    print(text)
    print(f"The terminal's screen: {picture}; the SPICE seat's: {picture.with_stem(picture.stem + '-spice')}")
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
