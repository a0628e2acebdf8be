# SPDX-License-Identifier: MIT
"""`make home-test`: work that is saved in one seat's session is there after a fresh machine, on a real SMB and a real NFS server; and when
the server is away the desktop starts all the same and says in plain words that work is not kept.

Judged on the server's own disk, by the guest's agent, and from pixels (by OCR). The guest is told by the engine's own words. Everything
runs in a network namespace with nothing but a loopback interface.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

from PIL import Image

from labvirt.contracts.hypervisor import HOME_LOGIN
from labvirt.domain.addresses import AddressPlan
from labvirt.domain.certificate import fingerprint
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import RunId
from labvirt.domain.lab import Lab, OnLeave
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.engine.homes import told_of
from labvirt.engine.launch import spec_of
from labvirt.engine.logins import CERTIFICATE, mint_password
from labvirt.hypervisors.qemu import command
from labvirt.system.files import write_atomic
from tests.desktop.guest import Guest
from tests.desktop.proof import PATIENCE, USER, Story, listens, shows
from tests.desktop.terminal import Viewer
from tests.homes import servers
from tests.kiosk.screen import open_screen
from tests.system import apart
from tests.system.recipe import built

SEAT = 7
HOME = f"/home/{USER}"
ESSAY = "It was a dark and stormy night.\n"
KEPT, AWAY, NEVER = "Your home folder is kept on", "does not answer now", "is NOT kept today"
LOOK_SECONDS = 3
"""Reading a picture takes a processor for a second; the guest needs them."""
FOLDERS = {"Desktop", "Documents", "Downloads", "Music", "Pictures", "Videos"}


def words_for(home: str, folder: Path, login: str) -> list[str]:
    """What the engine would have the firmware tell a guest of this profile; the login lies in a file."""
    lab = Lab(name="lab-a", block=0, network=AddressPlan(network=IPv4Network("10.77.0.0/24")), max_instances=8, on_leave=OnLeave.RESET)
    disk = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="desktop")
    profile = Profile(name="desk", memory_mib=1024, slots=(disk,), home=home)
    identity, guest = lab.identity(SEAT), first_guest(lab, SEAT, datetime.now(UTC))
    folder.mkdir()
    if login:
        write_atomic(folder / HOME_LOGIN, f"username={servers.LOGIN_USER}\npassword={login}\n")
    told = told_of(guest, profile, lab, identity, None)
    run = RunId(guest.name, 1)
    spec = spec_of(*(guest, run, profile, identity), folder=folder, chains={0: ()}, spice=None, uid=None, told=told, home_login=bool(login))
    words = [word for pair in command.told(spec, str(folder)) for word in pair]
    assert not login or login not in " ".join(words)
    return words


class Desk:
    """One desktop guest of seat 7, fresh from the image; `console`: its person sits at its own display, else at a terminal by RDP."""

    def __init__(self, image: Path, work: Path, home: str, login: str, *, console: bool, port: int) -> None:
        words = words_for(home, work.with_name(f"{work.name}-told"), login)
        self.guest = Guest(image, work, "lab-a-07", port, spice=console, firmware_words=words, sees_host=True)
        self._work = work
        self.story = Story()

    def display(self) -> Image.Image | None:
        file = self._work / "console.png"
        self.guest.picture(file)
        with Image.open(file) as image:
            return image.convert("RGB")

    def painted(self) -> str:
        """The words of the picture that lies behind the windows, as the guest has it in a file."""
        svg = self.guest.run("/usr/bin/cat", "/run/labvirt/background.svg")[1]
        return " ".join(re.sub(r"<[^>]*>", " ", svg).split())

    def wait_for_sentence(self, sentence: str, picture: Callable[[], Image.Image | None] | None, save: Path | None) -> None:
        """On the screen; with `picture` None: in the picture's file."""
        shown = (lambda: sentence in self.painted()) if picture is None else shows(picture, self.guest.name, sentence)

        def look() -> bool:
            time.sleep(LOOK_SECONDS)
            return shown()

        self.guest.wait(f"a desktop that says {sentence!r}", look, PATIENCE)
        self.story.reached(f"desktop says: {sentence}", self.guest)
        seen = picture() if picture else None
        if save is not None and seen is not None:
            seen.save(save)

    def as_person(self, script: str) -> str:
        """What a shell of the person who sits there prints."""
        status, said = self.guest.run("/usr/sbin/runuser", "-u", USER, "--", "sh", "-c", script)
        assert status == 0, (script, status, said)
        return said

    def home_is(self) -> str:
        """The kind of file system of its home: ext4 is its own disk."""
        return self.guest.run("/usr/bin/stat", "-f", "-c", "%T", HOME)[1].strip()


def keeps(
    image: Path, work: Path, name: str, home: str, serve: Callable[[], servers.FileServer], login: str, picture: Path, *, blind: bool
) -> dict[str, object]:
    """Two guests of one seat, one after the other, and a server that goes away under the second and comes back. `blind`: no desktop."""
    server = serve()
    told: dict[str, object] = {}
    try:
        print(f"{name}: a fresh guest, its person saves a file:", flush=True)
        desk = Desk(image, work / f"{name}-1", home, login, console=not blind, port=13391)
        try:
            desk.guest.wait("the agent", desk.guest.answers, PATIENCE)
            desk.story.reached("agent", desk.guest)
            desk.wait_for_sentence(KEPT, None if blind else desk.display, picture.with_stem(f"{picture.stem}-{name}"))
            told["file system"] = desk.home_is()
            assert told["file system"] != "ext2/ext3", "the home is the guest's own disk"
            desk.as_person(f"printf %s '{ESSAY}' > ~/Documents/essay.txt && sync")
            assert set(desk.as_person("ls ~").split()) >= FOLDERS
            told["login readable by the person"] = desk.guest.run(
                *("/usr/sbin/runuser", "-u", USER, "--", "sh", "-c", "cat /sys/firmware/qemu_fw_cfg/by_name/opt/labvirt/home-login/raw")
            )[0]
            assert told["login readable by the person"] != 0
            told["first"] = desk.story.seconds
        finally:
            desk.guest.close()  # as a power cut
        assert (server.folder / "Documents" / "essay.txt").read_text() == ESSAY

        print(f"{name}: another fresh guest of the same seat:", flush=True)
        console = name == "nfs" and not blind
        desk = Desk(image, work / f"{name}-2", home, login, console=console, port=13392)
        try:
            desk.guest.wait("the agent", desk.guest.answers, PATIENCE)
            desk.story.reached("agent", desk.guest)
            desk.guest.wait("port 3389", lambda: listens(desk.guest), PATIENCE)
            said = desk.as_person("cat ~/Documents/essay.txt")
            assert said == ESSAY, (said, desk.as_person("ls -lna ~ ~/Documents; stat -f ~; mount | grep home; dmesg | tail -5"))
            desk.story.reached("the file is there", desk.guest)
            if console or blind:
                server = at_the_second(
                    desk, None if blind else desk.display, server, serve, picture.with_stem(f"{picture.stem}-{name}-away")
                )
            else:
                mark = fingerprint(desk.guest.read(CERTIFICATE))
                assert mark is not None
                password = mint_password(USER)
                desk.guest.set_password(USER, password)
                with open_screen(1280, 800) as screen:
                    viewer = Viewer(screen, desk.guest.port, USER, password, mark, work / f"{name}-viewer.log")
                    try:
                        server = at_the_second(desk, screen.picture, server, serve, picture.with_stem(f"{picture.stem}-{name}-away"))
                    finally:
                        viewer.close()
            told["second"] = desk.story.seconds
        finally:
            desk.guest.close()
    finally:
        server.close()
    return told


def at_the_second(
    desk: Desk,
    picture: Callable[[], Image.Image | None] | None,
    server: servers.FileServer,
    serve: Callable[[], servers.FileServer],
    save: Path,
) -> servers.FileServer:
    """The server is killed under an open desktop, which says so; when it is there again the sentence goes and the work is there."""
    desk.wait_for_sentence(KEPT, picture, save.with_stem(save.stem.removesuffix("-away") + "-again"))
    server.close()
    desk.story.reached("the server is killed", desk.guest)
    desk.wait_for_sentence(AWAY, picture, save)
    server = serve()
    desk.wait_for_sentence(KEPT, picture, None)
    assert desk.as_person("cat ~/Documents/essay.txt") == ESSAY
    return server


def says(image: Path, work: Path, home: str, picture: Path, *, blind: bool) -> dict[str, object]:
    """No server at all: a desktop within the time, and the sentence on it."""
    print("No server answers:", flush=True)
    desk = Desk(image, work / "none", home, "", console=not blind, port=13393)
    try:
        desk.guest.wait("the agent", desk.guest.answers, PATIENCE)
        desk.wait_for_sentence(NEVER, None if blind else desk.display, picture.with_stem(f"{picture.stem}-none"))
        assert desk.home_is() == "ext2/ext3"
        desk.as_person("echo still works > ~/note && cat ~/note")
        return {"first": desk.story.seconds}
    finally:
        desk.guest.close()


def prove(image: Path, work: Path, picture: Path, only: str, *, blind: bool) -> dict[str, object]:
    work.chmod(0o711)  # smbd's user walks through it
    at, login = servers.FROM_GUESTS, mint_password("share")
    told: dict[str, object] = {}
    if only in ("", "smb"):
        home = f"smb://{at}/homes-of-labs/%LAB%/%SEAT%"
        told["smb"] = keeps(image, work, "smb", home, lambda: servers.smb(work / "samba", login=login), login, picture, blind=blind)
    if only in ("", "nfs"):
        told["nfs"] = keeps(
            image, work, "nfs", f"nfs://{at}/homes/%LAB%/%SEAT%", lambda: servers.nfs(work / "ganesha"), "", picture, blind=blind
        )
    if only in ("", "none"):
        told["none"] = says(image, work, f"nfs://{at}/homes/%LAB%/%SEAT%", picture, blind=blind)
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, metavar="FILE.qcow2", help="default: the recipe's, built or from the cache")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--only", choices=("smb", "nfs", "none"), default="", help="one of the three parts")
    parser.add_argument("--blind", action="store_true", help="no desktop and no screens: the sentence is read in a file of the guest")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", default=Path("build/home.png"), help="screens: NAME-smb.png ... (default: %(default)s)"
    )
    options = parser.parse_args()
    picture = options.picture.absolute()
    work = apart.folder()
    if work is None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        image = options.image or built("images/debian-desktop/build.py")
        return apart.again("home-test", ["--image", str(image.absolute())], own_proc=True)
    figures = prove(options.image, work, picture, options.only, blind=options.blind)
    text = json.dumps(figures, indent=1)
    print(text)
    print(f"Screens: {picture.with_stem(picture.stem + '-*')}")
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
