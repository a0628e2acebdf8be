# SPDX-License-Identifier: MIT
"""What the controller wishes of a terminal: which of it is believed, and what the terminal does then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from labvirt.domain import setting

XRANDR = """Screen 0: minimum 320 x 200, current 1920 x 1080, maximum 16384 x 16384
HDMI-1 connected (normal left inverted right x axis y axis)
   1280x1024     60.02 +  75.02
   1024x768      75.03    60.00
eDP-1 connected primary 1920x1080+0+0 (normal left inverted right x axis y axis) 309mm x 174mm
   1920x1080     60.01*+  59.97
   1280x720      60.00
   1024x768      60.04
DP-1 disconnected (normal left inverted right x axis y axis)
"""


def answer(settings: Any, allowed: Any = (), **more: Any) -> Any:
    from labvirt_kiosk.answer import from_fields

    fields = {
        "version": 1,
        "status": "ready",
        "protocol": "rdp",
        "address": "10.0.0.2",
        "port": 3389,
        "program": "xfreerdp",
        "arguments": ["/v:10.0.0.2"],
        "settings": settings,
        "allowed": allowed,
    }
    return from_fields(fields | more)


def test_both_ends_know_the_same_words() -> None:
    from labvirt_kiosk import wishes
    from labvirt_kiosk.catalogue import LANGUAGES
    from labvirt_kiosk.keyboard import LAYOUTS

    assert tuple(LAYOUTS) == setting.KEYBOARDS
    assert tuple(LANGUAGES) == setting.LANGUAGES
    assert wishes.DEEDS == setting.ALLOWED_DEEDS
    assert setting.SETTINGS["screens"].choices == wishes.SCREENS
    by_default = {key: each.default for key, each in setting.SETTINGS.items() if key != "allow"}
    assert wishes.wishes_of(by_default, ()) == wishes.Wishes(sound=True, idle_off_minutes=0)


def test_what_is_not_on_the_lists_is_as_if_nobody_had_said_it() -> None:
    from labvirt_kiosk.wishes import Wishes

    good = {"language": "es", "keyboard": "latam", "resolution": "1280x720", "screens": "two-extend", "usb": "on", "idle_off_minutes": "5"}
    told = answer(good, ["power", "rm", "restart-guest"]).wishes
    assert (told.language, told.keyboard, told.resolution, told.screens, told.usb) == ("es", "latam", "1280x720", "two-extend", True)
    assert told.allowed == ("restart-guest", "power")
    bad = {"language": "../x", "keyboard": "us -option x", "resolution": "--off", "screens": "x", "usb": True, "idle_off_minutes": "1e9"}
    for settings, allowed in ((bad, "power"), ("x", {"power": 1}), ([good], None), ({str(n): "x" for n in range(99)}, [[]])):
        assert answer(settings, allowed).wishes == Wishes()


def test_the_viewers_get_sound_sticks_and_screens() -> None:
    from labvirt_kiosk import viewer_command
    from labvirt_kiosk.viewer_command import Program

    program = Program(name="xfreerdp", path="/usr/bin/xfreerdp3", major=3)

    def argv(settings: dict[str, str], *arguments: str, windowed: bool = False) -> set[str]:
        told = answer(settings, arguments=["/v:10.0.0.2", *arguments])
        return set(viewer_command.render(told, program, None, None, windowed=windowed).argv[2:])

    assert argv({}) == {"/f"}
    assert argv({"sound": "on", "usb": "on", "screens": "two-extend"}) == {"/sound", "/drive:hotplug,*", "/multimon", "/f"}
    assert argv({"sound": "on", "usb": "on"}, "/sound:sys:alsa", "/drive:x,/srv") == {"/sound:sys:alsa", "/drive:x,/srv", "/f"}
    assert argv({"sound": "off"}, "/sound:sys:alsa", "/mic") == {"/f"}
    assert argv({"screens": "two-mirror"}) == {"/f"}
    assert "/multimon" not in argv({"screens": "two-extend"}, windowed=True)
    spice = {"program": "remote-viewer", "protocol": "spice", "arguments": ["%VV%"]}
    viewer = Program(name="remote-viewer", path="/usr/bin/remote-viewer")
    for sound, expected in (("off", True), ("on", False)):
        command = viewer_command.render(answer({"sound": sound}, **spice), viewer, None, Path("/run/guest.vv"))
        assert ("--spice-disable-audio" in command.argv) is expected
    for usb in ("off", "on"):
        command = viewer_command.render(answer({"usb": usb}, **spice), viewer, None, Path("/run/guest.vv"))
        assert ("--spice-usbredir-redirect-on-connect=0x08,-1,-1,-1,1|-1,-1,-1,-1,0" in command.argv) is (usb == "on")


def test_screens_are_read_and_arranged(monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt_kiosk import screens

    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    found = screens.read(XRANDR)
    assert [(screen.name, len(screen.modes)) for screen in found] == [("eDP-1", 3), ("HDMI-1", 2)]
    x = "/usr/bin/xrandr"
    own = ["--output", "eDP-1", "--primary"]
    assert screens.command(found, "one", "") == [x, *own, "--auto", "--output", "HDMI-1", "--off"]
    assert screens.command(found, "two-extend", "1920x1080") == [
        *(x, *own, "--mode", "1920x1080", "--output", "HDMI-1", "--auto", "--right-of", "eDP-1"),
    ]
    assert screens.command(found, "two-mirror", "") == [
        *(x, *own, "--mode", "1024x768", "--output", "HDMI-1", "--mode", "1024x768", "--same-as", "eDP-1"),
    ]
    assert screens.command((), "two-mirror", "") is None
    assert screens.read("garbage\n   1x1 \n\x00") == ()


class Table:
    """A desk with a notebook instead of an X server."""

    def __init__(self, folder: Path, fails: str = "") -> None:
        from labvirt_kiosk.choices import ChoiceStore
        from labvirt_kiosk.desk import Desk
        from labvirt_kiosk.screens import read
        from labvirt_kiosk.status_line import StatusLine

        self.ran: list[list[str]] = []
        self.choices = ChoiceStore(folder)
        self.status = StatusLine(file=None, output=os.open("/dev/null", os.O_WRONLY))

        def run(argv: Any) -> str:
            self.ran.append([argv[0].rpartition("/")[2], *argv[1:]])
            return fails

        self.desk = Desk(self.choices, self.status, has_display=True, started_with="us", run=run, query=lambda: read(XRANDR))

    def hear(self, **settings: str) -> list[list[str]]:
        """What is run when these are wished."""
        before = len(self.ran)
        self.desk.hear(answer(settings).wishes)
        return self.ran[before:]


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def test_harmless_wishes_count_at_once_and_only_once(tmp_path: Path) -> None:
    table = Table(tmp_path)
    assert table.hear(keyboard="es", language="es", idle_off_minutes="5") == [
        ["setxkbmap", "-option", "", "-layout", "es"],
        ["xset", "s", "blank", "s", "300", "0", "+dpms", "dpms", "300", "300", "300"],
    ]
    assert table.status.status.language == "es"
    assert table.hear(keyboard="es", language="es", idle_off_minutes="5") == []
    assert table.hear(keyboard="auto", idle_off_minutes="0") == [
        ["setxkbmap", "-option", "", "-layout", "us"],
        ["xset", "s", "off", "-dpms"],
    ]
    assert table.status.status.language is None


def test_a_persons_choice_counts_until_the_next_start_unless_it_is_fixed(tmp_path: Path) -> None:
    before = Table(tmp_path)
    before.choices.change(language="ru", keyboard="ru")
    before.hear()
    assert before.choices.load().language == "ru"  # nobody wishes anything: it is kept
    table = Table(tmp_path)
    assert table.hear(keyboard="es", language="es")[0][-1] == "es"
    assert (table.choices.load().language, table.choices.load().keyboard) == ("", "")
    table.choices.change(language="fr", keyboard="fr")
    assert table.hear(keyboard="cz", language="cs") == [["setxkbmap", "-option", "", "-layout", "fr"]]
    assert table.choices.load().language == "fr"
    assert table.hear(keyboard="cz", language="cs", fixed="keyboard,language") == [["setxkbmap", "-option", "", "-layout", "cz"]]
    assert table.status.status.fixed == ("keyboard", "language")


def test_screens_are_arranged_before_a_viewer_and_what_fails_is_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = Table(tmp_path, fails="Configure crtc 1 failed")
    table.hear()
    table.desk.before_viewer("rdp")
    assert not [argv for argv in table.ran if argv[0] == "xrandr"]  # nobody wishes: left alone
    assert table.hear(screens="two-extend", resolution="800x600") == []  # not while a viewer may run
    table.desk.before_viewer("rdp")
    table.desk.before_viewer("rdp")
    assert len([argv for argv in table.ran if argv[0] == "xrandr"]) == 1
    said = capfd.readouterr().err
    assert "No screen here knows the resolution 800x600" in said
    assert "xrandr could not set the arrangement of the screens: Configure crtc 1 failed" in said
    table.hear(screens="one")
    table.desk.before_viewer("rdp")
    assert table.ran[-1][-1] == "--off"


def test_sticks_may_go_the_viewers_way_while_it_runs_and_only_where_that_is_wished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path)

    def said() -> list[str]:
        return [argv[1] for argv in table.ran if argv[0] == "labvirt-sticks"]

    table.hear(usb="on")
    assert said() == []  # not before there is a viewer
    table.desk.before_viewer("rdp")
    table.desk.before_viewer("rdp")
    table.desk.after_viewer()
    table.desk.before_viewer("spice")
    table.desk.after_viewer()
    assert said() == ["folders", "off", "devices", "off"]
    table.hear(usb="off")
    table.desk.before_viewer("rdp")
    table.desk.before_viewer("spice")
    table.desk.after_viewer()
    assert said() == ["folders", "off", "devices", "off"]
    elsewhere = Table(tmp_path, fails="no such program")  # a Linux that mounts sticks by itself has no such command
    monkeypatch.setattr("shutil.which", lambda name: None)
    elsewhere.hear(usb="on")
    elsewhere.desk.before_viewer("rdp")
    assert elsewhere.ran == []


def test_a_command_that_hangs_fails_or_is_not_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    from labvirt_kiosk import desk

    monkeypatch.setattr(desk, "_SECONDS", 0.2)
    assert desk.run(["/bin/sleep", "60"]).startswith("did not end")
    assert desk.run(["/nowhere/xrandr"]) == "No such file or directory"
    assert desk.run(["/bin/sh", "-c", "echo no >&2; exit 3"]) == "no"
    assert desk.run(["/bin/true"]) == ""
