# SPDX-License-Identifier: MIT
"""Does at this terminal what the controller wishes: keyboard, language and sleep at once, screens before the next viewer.

What a command cannot do is a line in the log, and never stops the kiosk.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from labvirt_kiosk import keyboard, screen_sleep, screens, sticks
from labvirt_kiosk.choices import ChoiceStore
from labvirt_kiosk.screens import Screen
from labvirt_kiosk.status_line import StatusLine
from labvirt_kiosk.wishes import Wishes

_SECONDS = 10


def run(argv: Sequence[str]) -> str:
    """Why the command did not work; "" if it did. Takes ten seconds at most."""
    try:
        done = subprocess.run(list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"did not end within {_SECONDS} s"
    except OSError as error:
        return error.strerror or str(error)
    said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else f"exit code {done.returncode}")


class Desk:
    """Safe from any thread as far as one call at a time goes; the loop and its notice watch never call together."""

    def __init__(
        self,
        choices: ChoiceStore,
        status: StatusLine,
        *,
        has_display: bool,
        started_with: str = "",
        run: Callable[[Sequence[str]], str] = run,
        query: Callable[[], tuple[Screen, ...]] = screens.query,
    ) -> None:
        """`started_with` is the keyboard that this terminal has when nobody wishes another ("": the X server's own)."""
        self._choices = choices
        self._status = status
        self._has_display = has_display
        self._started_with = started_with
        self._run = run
        self._query = query
        self._wishes = Wishes()
        self._fresh = True
        self._layout = ""
        self._minutes: int | None = None
        self._arranged: tuple[str, str, tuple[Screen, ...]] | None = None
        self._sticks = ""

    @property
    def wishes(self) -> Wishes:
        return self._wishes

    def hear(self, wishes: Wishes) -> None:
        """What is harmless counts at once. What the person chose in an earlier start of this terminal is forgotten where the controller
        wishes something; what they choose from now on counts, unless it is fixed."""
        if self._fresh:
            self._fresh = False
            wished = {key: "" for key in ("language", "keyboard") if getattr(wishes, key)}
            if wished:
                self._choices.change(**wished)
        before, self._wishes = self._wishes, wishes
        if wishes != before:
            self._status.note(
                language=wishes.language or None, fixed=wishes.fixed, allowed=wishes.allowed, notice_seconds=wishes.notice_seconds
            )
        if not self._has_display:
            return
        self._keyboard(wishes)
        if wishes.idle_off_minutes is not None and wishes.idle_off_minutes != self._minutes:
            self._minutes = wishes.idle_off_minutes
            self._do("the screen's sleep", screen_sleep.command(self._minutes))

    def before_viewer(self, protocol: str) -> None:
        """Sticks may go the way that this protocol has, if that is wished, and the screens are arranged as wished."""
        self._let_sticks(sticks.word(protocol, allowed=self._wishes.usb))
        self._arrange()

    def after_viewer(self) -> None:
        """No stick is mounted, and none can be handed over."""
        self._let_sticks(sticks.OFF)

    def _let_sticks(self, word: str) -> None:
        if word == self._sticks:
            return
        self._sticks = word
        argv = sticks.command(word)
        if argv is not None:
            self._do("the USB sticks", argv)

    def _arrange(self) -> None:
        """Only if that or what is plugged in has changed. Without a wish the screens are left alone."""
        wishes = self._wishes
        if not self._has_display or (self._arranged is None and wishes.screens == "one" and not wishes.resolution):
            return
        there = self._query()
        asked = (wishes.screens, wishes.resolution, there)
        if asked == self._arranged:
            return
        self._arranged = asked
        if wishes.screens != "one" and len(there) == 1:
            self._status.trouble("Two screens are wished, and only one is plugged in")
        if there and wishes.resolution and not any(wishes.resolution in screen.modes for screen in there):
            self._status.trouble(f"No screen here knows the resolution {wishes.resolution}")
        self._do("the arrangement of the screens", screens.command(there, wishes.screens, wishes.resolution))

    def _keyboard(self, wishes: Wishes) -> None:
        chosen = "" if "keyboard" in wishes.fixed and wishes.keyboard else self._choices.load().keyboard
        layout = chosen or wishes.keyboard or (self._started_with if self._layout else "")
        if layout and layout != self._layout:
            self._layout = layout
            self._do("the keyboard", keyboard.command(layout))

    def _do(self, what: str, argv: list[str] | None) -> None:
        if argv is None:
            self._status.trouble(f"Nothing on this terminal can set {what}")
            return
        failed = self._run(argv)
        if failed:
            self._status.trouble(f"{argv[0].rpartition('/')[2]} could not set {what}: {failed}")
