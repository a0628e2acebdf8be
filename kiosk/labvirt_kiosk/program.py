# SPDX-License-Identifier: MIT
"""Where the kiosk program starts: reads the settings, joins the parts, answers signals."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from labvirt_kiosk import identity, installed, settings
from labvirt_kiosk.heartbeat import Heartbeat
from labvirt_kiosk.last_good import LastGoodStore
from labvirt_kiosk.loop import Loop
from labvirt_kiosk.private_folder import PrivateFolder
from labvirt_kiosk.question import Controller
from labvirt_kiosk.status_line import StatusLine
from labvirt_kiosk.waiting import Waiting


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM, SIGINT or SIGHUP. 0: asked to end; 2: wrong settings; 3: this terminal cannot run a kiosk."""
    chosen = settings.read(sys.argv[1:] if argv is None else argv, os.environ, _kernel_command_line())
    waiting = Waiting()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: waiting.leave())
    status = StatusLine(file=chosen.status_file)
    status.note(controller=chosen.url)

    def identify() -> str | None:
        terminal_id = chosen.terminal_id or identity.mac_of(chosen.interface)
        status.note(id=terminal_id)
        return terminal_id

    try:
        folder = PrivateFolder()
    except OSError as error:
        print(f"labvirt-kiosk: no place for private files ({error.strerror}): {error.filename}", file=sys.stderr)
        return 3
    try:
        chosen.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:  # a read-only terminal still shows its guest; it only forgets it over a restart
        status.note(last_error=f"{chosen.state} cannot be made: {error.strerror}")
    controller = Controller(chosen.url, identify)
    Loop(
        controller=controller,
        waiting=waiting,
        status=status,
        heartbeat=Heartbeat(controller.heartbeat, lambda sentence: status.note(heartbeat_error=sentence)),
        last_good=LastGoodStore(chosen.state),
        folder=folder,
        log=chosen.state / "viewer.log",
        find_program=installed.find,
        windowed=chosen.windowed,
    ).run()
    return 0


def _kernel_command_line() -> str:
    try:
        return Path("/proc/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:  # hidden in some containers: then nothing comes from there
        return ""
