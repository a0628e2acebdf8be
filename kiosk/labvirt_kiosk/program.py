# SPDX-License-Identifier: MIT
"""Where the kiosk program starts: reads the settings, joins the parts, answers signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from labvirt_kiosk import command, identity, installed, keyboard, power, settings
from labvirt_kiosk.catalogue import Catalogue
from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.desk import Desk
from labvirt_kiosk.face_keeper import FaceKeeper
from labvirt_kiosk.hardware import HardwareReport, facts
from labvirt_kiosk.heartbeat import Heartbeat
from labvirt_kiosk.last_good import LastGoodStore
from labvirt_kiosk.loop import Loop
from labvirt_kiosk.order import WORDS, Order
from labvirt_kiosk.private_folder import PrivateFolder
from labvirt_kiosk.question import Controller
from labvirt_kiosk.renewal import Renewal
from labvirt_kiosk.status_line import StatusLine
from labvirt_kiosk.timeline import TimeLine, files
from labvirt_kiosk.touch import TouchStore
from labvirt_kiosk.trouble import Trouble
from labvirt_kiosk.waiting import Waiting

LEAVE_SECONDS = 3.0
"""Nobody who has pressed a power button waits longer for a controller that is away."""


AUTHORITY = Path("/etc/labvirt/ca.pem")
"""The certificate of the site for which this terminal was built; the image has it (kiosk/image/initrd/init), other machines may."""


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP. 0: asked to end; 2: wrong settings; 3: this terminal cannot run a kiosk."""
    chosen = settings.read(sys.argv[1:] if argv is None else argv, os.environ, _kernel_command_line())
    if chosen.leave:
        return _leave(chosen)
    waiting = Waiting()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: waiting.leave())

    try:
        folder = PrivateFolder()
    except OSError as error:
        print(f"labvirt-kiosk: no place for private files ({error.strerror}): {error.filename}", file=sys.stderr)
        return 3
    trouble = None
    try:
        chosen.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:  # a read-only terminal still shows its guest; it only forgets it over a restart
        trouble = f"{chosen.state} cannot be made: {error.strerror}"
    choices = ChoiceStore(chosen.state)
    if chosen.language or chosen.keyboard:  # what a site sets is so again after each start of the terminal
        choices.change(**({"language": ""} if chosen.language else {}), **({"keyboard": ""} if chosen.keyboard else {}))
    language = choices.load().language or chosen.language or "en"
    has_face = chosen.face and bool(os.environ.get("DISPLAY"))
    status_file = chosen.status_file or (folder.path / "status.json" if has_face else None)
    status = StatusLine(file=status_file, translate=Catalogue(language).translate)
    status.note(controller=chosen.url, last_error=trouble)

    def identify() -> str | None:
        terminal_id = chosen.terminal_id or identity.mac_of(chosen.interface)
        status.note(id=terminal_id)
        return terminal_id

    controller = Controller(chosen.url, identify)
    face = None
    if has_face and status_file is not None:
        arguments = ["--status-file", str(status_file), "--state", str(chosen.state), "--language", language]
        face = FaceKeeper(
            arguments + (["--power"] if chosen.power else []),
            lambda pid, reason: status.note(face_pid=pid, face_error=reason or None),
            log=chosen.state / "face.log",
            environment={**os.environ, **_known(chosen)},
        )
        face.start()
    if os.environ.get("DISPLAY"):
        _set_keyboard(choices.load().keyboard or chosen.keyboard)
    timeline = TimeLine(controller.boot, chosen.state, files=files())
    timeline.start()
    loop = Loop(
        controller=controller,
        waiting=waiting,
        status=status,
        heartbeat=Heartbeat(
            controller.heartbeat,
            lambda sentence: status.note(heartbeat_error=sentence),
            obey=_obey if _may_obey(chosen) else None,
            touched=TouchStore(chosen.state).seconds if has_face else lambda: None,
        ),
        last_good=LastGoodStore(chosen.state),
        folder=folder,
        log=chosen.state / "viewer.log",
        find_program=installed.find,
        windowed=chosen.windowed,
        notices=has_face,
        desk=Desk(choices, status, has_display=bool(os.environ.get("DISPLAY")), started_with=chosen.keyboard or ""),
        reach=timeline.reach,
        renewal=Renewal(chosen.renew, lambda: identity.address_of(chosen.interface)),
        authority=_authority(),
    )
    report = HardwareReport(lambda: facts(identity.interface_of(chosen.interface)), controller.hardware)
    report.start()
    try:
        loop.run()
    finally:
        report.stop()
        timeline.stop()
        if face is not None:
            face.stop()
            status.note(face_pid=None)
    return 0


def _leave(chosen: settings.Settings) -> int:
    """Goodbye, if the controller takes it within seconds; then the machine goes down. 1: it cannot."""
    goodbye = {"viewer": "none", "leaving": str(chosen.leave)}
    with contextlib.suppress(Trouble):
        Controller(chosen.url, lambda: chosen.terminal_id or identity.mac_of(chosen.interface)).heartbeat(goodbye, LEAVE_SECONDS)
    argv = power.command(WORDS[str(chosen.leave)])
    return 1 if argv is None else subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode


def _known(chosen: settings.Settings) -> dict[str, str]:
    """What a kiosk program that the face starts must know of this one's options."""
    given = {"LABVIRT_URL": chosen.url, "LABVIRT_ID": chosen.terminal_id, "LABVIRT_INTERFACE": chosen.interface}
    return {name: value for name, value in given.items() if value}


def _may_obey(chosen: settings.Settings) -> bool:
    return chosen.orders and all(power.command(verb) for verb in power.VERBS)


def _obey(order: Order) -> None:
    argv = power.command(WORDS[order.word])
    if argv is not None:
        command.run(argv)


def _set_keyboard(layout: str | None) -> None:
    """The X server has the layout soon, if there is one to set and setxkbmap is installed."""
    argv = keyboard.command(layout) if layout else None
    if argv is not None:
        command.run(argv)


def _kernel_command_line() -> str:
    try:
        return Path("/proc/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:  # hidden in some containers: then nothing comes from there
        return ""


def _authority() -> str:
    """Empty: displays of any authority that the controller names are taken."""
    try:
        return AUTHORITY.read_text(encoding="ascii")
    except FileNotFoundError:
        return ""
