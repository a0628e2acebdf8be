# SPDX-License-Identifier: MIT
"""Where the face starts: a process of its own that reads the status file and paints it. The kiosk does not need it."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from labvirt_kiosk.catalogue import LANGUAGES
from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.face_keeper import NO_FACE
from labvirt_kiosk.status_reader import StatusReader
from labvirt_kiosk.touch import TouchStore

if TYPE_CHECKING:
    import tkinter

LOOK_MS = 200


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until it is killed: by the kiosk that ends, or by the kernel when the kiosk is dead. NO_FACE without Tk.

    1 after a mistake of its own: a fresh face is better than one that stands still.
    """
    parser = argparse.ArgumentParser(prog="labvirt-kiosk-face", description="Show the kiosk's status on the screen.")
    parser.add_argument("--status-file", metavar="FILE", type=Path, required=True, help="what the kiosk writes")
    parser.add_argument("--state", metavar="DIR", type=Path, required=True, help="folder for what the person chose")
    parser.add_argument("--language", choices=list(LANGUAGES), default="en", help="until the person chooses another")
    parser.add_argument("--power", action="store_true", help="offer to restart this terminal and to switch it off")
    chosen = parser.parse_args(argv)
    try:
        import tkinter
    except ImportError:
        return NO_FACE
    from labvirt_kiosk.face_desk import FaceDesk

    root = tkinter.Tk(className="labvirt-kiosk")

    def fail(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        traceback.print_exception(kind, error, where)
        root.quit()

    root.report_callback_exception = fail
    desk = FaceDesk(root, ChoiceStore(chosen.state), language=chosen.language, power_allowed=chosen.power)
    reader = StatusReader(chosen.status_file)
    touch = TouchStore(chosen.state)

    def look() -> None:
        desk.show(reader.status(), datetime.now(UTC), reader.address())
        touch.idle(idle_ms(root))
        root.after(LOOK_MS, look)

    root.after_idle(look)
    root.mainloop()  # ends only by `fail`
    return 1


def idle_ms(root: tkinter.Tk) -> int:
    """How long the X server has seen neither key nor mouse, in all its windows (Tk's `inactive`: the MIT screen saver extension); -1
    where it does not tell."""
    import tkinter

    try:
        return int(root.tk.call("tk", "inactive"))
    except (ValueError, tkinter.TclError):
        return -1
