# SPDX-License-Identifier: MIT
"""`make devices-test`: what is plugged into the PC on the desk is of use: loudspeakers, a second screen, a person's USB stick.

A PC (QEMU) boots the built kiosk from the network. Its loudspeakers are a recording, its screens are looked at one by one, its sticks are
plugged in and out while it runs. First it shows a humming machine over SPICE (tone.py), then the desktop guest over RDP; each thing is also
not wished, and then it must not happen. Everything runs in a network namespace with nothing but a loopback interface.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path

from PIL import Image

from labvirt.domain.certificate import fingerprint
from labvirt.engine.logins import CERTIFICATE, mint_password
from tests.boot import persons_stick, tone
from tests.boot.computer import Computer
from tests.boot.controller import Controller
from tests.boot.kiosk import PATIENCE, menu
from tests.desktop.guest import Guest
from tests.desktop.proof import USER, listens
from tests.desktop.terminal import colours, words
from tests.system import apart
from tests.system.recipe import built

SPICE_PORT, RDP_PORT = 15930, 13389
HEARD_PIECES = 8
"""A fifth of a second of the tone, all pieces together: an emulated processor stutters."""
STEPS = 6
DRAIN_SECONDS = 3
"""Until the loudspeakers have played what they were given last."""
RDP_HERTZ = 1000.0
SCREENS = ("virtio-vga,id=screens,max_outputs=2", "video=Virtual-1:1024x768", "video=Virtual-2:1024x768e")
"""A card with two outputs, and the kernel's word that a screen is plugged into the second, which QEMU without a window never says."""
LOUD = {"sound": "on", "usb": "on", "screens": "one"}
QUIET = {"sound": "off", "usb": "off", "screens": "one"}


class Desk:
    """The PC, its controller, its recording and its screens; `reached` tells what was seen, and when."""

    def __init__(self, folder: Path, work: Path, pictures: Path, memory_mib: int) -> None:
        tftp = work / "tftp"
        (tftp / "grub").mkdir(parents=True)
        (tftp / "core.0").write_bytes((folder / "core.0").read_bytes())
        self.work, self.pictures, self.recording = work, pictures, work / "speakers.wav"
        self.controller = Controller(folder, "K7WQ2M")
        (tftp / "grub" / "grub.cfg").write_text(menu(folder, self.controller.port, *SCREENS[1:]))
        self.wait_here()
        self.began = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.pc = Computer(work, tftp, memory_mib=memory_mib, display=("-device", SCREENS[0]), sound=self.recording)

    def wait_here(self) -> None:
        self.controller.answer = {
            "version": 1,
            "status": "starting",
            "message": "Your computer is being started.",
            "help_code": "LV-START-07",
            "guest": "none",
            "retry_seconds": 2,
        }

    def show_hum(self, settings: dict[str, str]) -> None:
        where = {"guest": "hum", "address": "10.0.2.2", "port": SPICE_PORT}
        self.controller.viewer_file = f"[virt-viewer]\ntype=spice\nhost=10.0.2.2\nport={SPICE_PORT}\n"
        self.controller.ticket = {**where, "protocol": "spice", "secret": tone.SECRET, "expires_seconds": 60}
        program = {"protocol": "spice", "program": "remote-viewer", "arguments": ["%VV%"], "secret": "ticket"}
        self.controller.answer = {"version": 1, "status": "ready", "message": "", **where, **program, "settings": settings}

    def show_desktop(self, settings: dict[str, str], guest: Guest) -> None:
        mark, password = fingerprint(guest.read(CERTIFICATE)), mint_password(USER)
        guest.set_password(USER, password)
        where = {"guest": guest.name, "address": "10.0.2.2", "port": RDP_PORT}
        self.controller.ticket = {
            **where,
            "protocol": "rdp",
            "user": USER,
            "secret": password,
            "fingerprint": mark,
            "expires_seconds": 60,
        }
        program = {"protocol": "rdp", "program": "xfreerdp", "arguments": [f"/v:10.0.2.2:{RDP_PORT}"], "secret": "ticket"}
        self.controller.answer = {"version": 1, "status": "ready", "message": "", **where, **program, "settings": settings}

    def reached(self, phase: str) -> None:
        self.seconds[phase] = round(time.monotonic() - self.began, 1)
        print(f"  {self.seconds[phase]:6.1f} s  {phase}", flush=True)

    def look(self, head: int = 0) -> Image.Image:
        """What one of its screens shows now; the newest picture is kept."""
        file = self.pictures / f"devices-{head}.png"
        self.pc.picture(file, device="screens", head=head)
        with Image.open(file) as image:
            return image.convert("RGB")

    def keep(self, head: int, name: str) -> None:
        (self.pictures / f"devices-{head}.png").replace(self.pictures / f"devices-{name}.png")

    def hears(self, ear: tone.Ear) -> float:
        """How loud the tone is, when it was heard for a fifth of a second."""

        def heard() -> bool:
            ear.listen()
            return len(ear.tone) >= HEARD_PIECES

        self.pc.wait("the tone", heard, PATIENCE)
        return sorted(ear.tone)[len(ear.tone) // 2]

    def questions(self, more: int) -> None:
        """The kiosk asked so often again: time has gone by for it."""
        asked = len(self.controller.asked)
        self.pc.wait("more questions", lambda: len(self.controller.asked) >= asked + more, PATIENCE)


def is_yellow(picture: Image.Image) -> bool:
    red, green, blue = picture.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    return bool(red > 180 and green > 180 and blue < 120)


def over_spice(desk: Desk, hum: tone.Hum) -> dict[str, object]:
    """The tone is heard, quieter after the face's button, not at all where no sound is wished; a stick goes to the guest, or does not."""
    ear = tone.Ear(desk.recording, tone.HERTZ)
    desk.show_hum(LOUD)
    desk.pc.wait("the machine's picture", lambda: is_yellow(desk.look()), PATIENCE)
    desk.keep(0, "spice")
    desk.reached("SPICE: its picture")
    loud = desk.hears(ear)
    desk.reached("SPICE: its tone")

    stick = persons_stick.make(desk.work, "one.img")
    persons_stick.plug(desk.pc, stick)
    desk.pc.wait("the stick in the machine", hum.has_stick, PATIENCE)
    desk.reached("SPICE: the stick is the machine's")
    persons_stick.pull(desk.pc)
    desk.pc.wait("the stick gone from the machine", lambda: not hum.has_stick(), PATIENCE)
    assert hum.is_seen(), "the viewer went with the stick"

    desk.wait_here()
    hum.hang_up()
    desk.pc.wait("the face", lambda: not hum.is_seen() and not is_yellow(desk.look()), PATIENCE)
    desk.pc.wait("the face's words", lambda: "beingstarted" in words(desk.look()), PATIENCE)
    for _ in range(2):  # from language by keyboard to "Quieter"
        desk.pc.press("tab")
        time.sleep(0.5)
    for _ in range(STEPS):
        desk.pc.press("spc")
        time.sleep(0.5)
    desk.look()
    desk.keep(0, "quieter")
    desk.questions(2)
    ear = tone.Ear(desk.recording, tone.HERTZ)
    desk.show_hum(LOUD)
    quiet = desk.hears(ear)
    assert quiet < 0.7 * loud, f"the button Quieter did nothing: {loud:.4f} before, {quiet:.4f} after"
    desk.reached("SPICE: quieter by the face's button")

    desk.show_hum(QUIET)
    hum.hang_up()
    desk.pc.wait("the viewer gone", lambda: not hum.is_seen(), PATIENCE)
    time.sleep(DRAIN_SECONDS)
    ear = tone.Ear(desk.recording, tone.HERTZ)
    desk.pc.wait("its picture without sound", lambda: hum.is_seen() and is_yellow(desk.look()), PATIENCE)
    persons_stick.plug(desk.pc, stick)
    desk.questions(3)
    assert hum.is_seen()
    ear.listen()
    assert not ear.any, f"sound that nobody wished: {ear.any}"
    assert not hum.has_stick(), "a stick that nobody allowed is the machine's"
    persons_stick.pull(desk.pc)
    desk.reached("SPICE: silence, and no stick, where none is wished")
    return {"loud": round(loud, 4), "quieter": round(quiet, 4)}


def over_rdp(desk: Desk, guest: Guest) -> dict[str, object]:
    """Two screens of one desktop, its sound, and a stick that comes, is written to, goes, and is not there where it is not allowed."""
    desk.show_desktop({"sound": "on", "usb": "on", "screens": "two-extend"}, guest)
    desk.pc.wait("the desktop on both screens", lambda: all(colours(desk.look(head)) >= 16 for head in (0, 1)), PATIENCE)
    desk.pc.wait("two monitors in the guest", lambda: monitors(guest) == 2, PATIENCE)
    desk.reached("RDP: the desktop on two screens")
    desk.questions(2)
    for head in (0, 1):
        desk.look(head)
        desk.keep(head, f"rdp-{head}")

    guest.write("/var/tmp/tone.wav", wave_of(RDP_HERTZ))
    ear = tone.Ear(desk.recording, RDP_HERTZ)
    play = "for i in 1 2 3 4 5 6; do paplay /var/tmp/tone.wav; done"
    guest.wait("the guest's sound", lambda: as_user(guest, play)[0] == 0, PATIENCE)
    loud = desk.hears(ear)
    desk.reached("RDP: its tone")

    drives = f"/home/{USER}/thinclient_drives"
    assert "hello" not in as_user(guest, f"find {drives}")[1], "a stick before there is one"
    stick = persons_stick.make(desk.work, "two.img")
    persons_stick.plug(desk.pc, stick)
    desk.pc.wait("the stick in the desktop", lambda: "hello.txt" in as_user(guest, f"find {drives}")[1].lower(), PATIENCE)
    where = next(line for line in as_user(guest, f"find {drives}")[1].splitlines() if line.lower().endswith("hello.txt"))
    assert as_user(guest, f"cat '{where}'")[1].strip() == persons_stick.TEXT
    desk.reached(f"RDP: the stick is {where.rpartition('/')[0]}")
    status, said = as_user(guest, f"echo kept > '{where.rpartition('/')[0]}/answer.txt'")
    assert status == 0, said
    desk.pc.wait("the answer on the stick", lambda: persons_stick.read(stick, "answer.txt") == "kept", PATIENCE)
    persons_stick.pull(desk.pc)
    desk.pc.wait("the stick gone from the desktop", lambda: "hello" not in as_user(guest, f"find {drives}")[1].lower(), PATIENCE)
    assert persons_stick.is_sound(stick), "the stick was harmed"
    assert monitors(guest) == 2, "the desktop went with the stick"
    desk.reached("RDP: written, pulled out, and whole")

    desk.show_desktop(QUIET, guest)
    guest.run("/usr/bin/pkill", "-x", "xrdp")
    guest.run("/usr/bin/systemctl", "restart", "xrdp")
    desk.pc.wait("a desktop of one screen's size", lambda: desktop_size(guest) == desk.look(0).size, PATIENCE)
    persons_stick.plug(desk.pc, stick)
    desk.questions(3)
    assert "hello" not in as_user(guest, f"find {drives}")[1].lower(), "a stick that nobody allowed is in the desktop"
    ear = tone.Ear(desk.recording, RDP_HERTZ)
    as_user(guest, "paplay /var/tmp/tone.wav")
    desk.questions(2)
    ear.listen()
    assert not ear.any, f"sound that nobody wished: {ear.any}"
    desk.look(0)
    desk.keep(0, "rdp-one")
    desk.reached("RDP: one screen, silence and no stick, where none is wished")
    return {"loud": round(loud, 4)}


def as_user(guest: Guest, script: str) -> tuple[int, str]:
    """As the person's desktop would run it."""
    display = ":$(ls -t /tmp/.X11-unix | head -n 1 | tr -d X)"
    environment = f"export XDG_RUNTIME_DIR=/run/user/1000 DISPLAY={display} XAUTHORITY=/run/labvirt-session/Xauthority; "
    return guest.run("/usr/sbin/runuser", "-u", USER, "--", "/bin/sh", "-c", environment + script)


def monitors(guest: Guest) -> int:
    said = as_user(guest, "xrandr --listmonitors")[1].splitlines()
    return int(said[0].split()[1]) if said and said[0].startswith("Monitors:") else 0


def desktop_size(guest: Guest) -> tuple[int, int] | None:
    found = re.search(r"current (\d+) x (\d+)", as_user(guest, "xrandr --query")[1])
    return (int(found[1]), int(found[2])) if found else None


def wave_of(hertz: float, seconds: float = 3.0, rate: int = 16000) -> bytes:
    """A WAV file with a sine."""
    import io
    import math
    import struct
    import wave

    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        turn = 2 * math.pi * hertz / rate
        file.writeframes(b"".join(struct.pack("<h", round(20000 * math.sin(turn * place))) for place in range(int(seconds * rate))))
    return stream.getvalue()


def prove(options: argparse.Namespace, work: Path) -> dict[str, object]:
    pictures = options.pictures.absolute()
    guest = hum = None
    told: dict[str, object] = {}
    desk = Desk(options.folder, work, pictures, options.memory)
    try:
        if options.only != "rdp":
            hum = tone.Hum(work / "hum", SPICE_PORT)
        if options.only != "spice":
            guest = Guest(options.image, work / "guest", "lab-a-07", RDP_PORT)
        desk.pc.wait("the kiosk program", lambda: len(desk.controller.asked) > 2, PATIENCE)
        desk.reached("the kiosk asks")
        if hum is not None:
            told["spice"] = over_spice(desk, hum)
            hum.hang_up()
        if guest is not None:
            desk.wait_here()
            guest.wait("the desktop guest", lambda: guest.answers() and listens(guest), PATIENCE)
            told["rdp"] = over_rdp(desk, guest)
        told["seconds"] = desk.seconds
    finally:
        for head in (0, 1):
            if not desk.pc.is_off():
                desk.look(head)
        (pictures / "devices-speakers.wav").write_bytes(desk.recording.read_bytes() if desk.recording.exists() else b"")
        for each in (desk.pc, desk.controller, hum, guest):
            if each is not None:
                each.close()
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a boot folder (default: the recipe's, built or from the cache)")
    parser.add_argument("--image", type=Path, help="the desktop guest's disk (default: the recipe's, built or from the cache)")
    parser.add_argument("--memory", type=int, default=1536, metavar="MIB", help="of the PC (default: %(default)s)")
    parser.add_argument("--only", choices=("spice", "rdp"), help="one of the two parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--pictures", type=Path, metavar="DIR", default=Path("build"), help="screens and recording (default: %(default)s)")
    options = parser.parse_args()
    work = apart.folder()
    if work is None:
        options.pictures.mkdir(parents=True, exist_ok=True)
        folder = options.folder or built("kiosk/image/build.py")
        more = ["--folder", str(folder.absolute())]
        if options.only != "spice":
            more += ["--image", str((options.image or built("images/debian-desktop/build.py")).absolute())]
        return apart.again("devices-test", more)
    figures = prove(options, work)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
