# SPDX-License-Identifier: MIT
"""The screens of this terminal: read from `xrandr --query`, arranged by `xrandr`. Pure but for `query`.

A size that a screen does not know is left out: a picture of another size is better than a dark screen.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_SECONDS = 5
_OUTPUT = re.compile(r"(\S+) connected\b( primary)?")
_OTHER = re.compile(r"(\S+) disconnected\b")
_MODE = re.compile(r"\s+([0-9]+x[0-9]+)i?\s")


@dataclass(frozen=True, kw_only=True, slots=True)
class Screen:
    """A screen that is plugged in, and the sizes that it knows, best first."""

    name: str
    primary: bool
    modes: tuple[str, ...]


def query() -> tuple[Screen, ...]:
    """The screens that are plugged in now; none if xrandr is missing, hangs or fails."""
    program = shutil.which("xrandr")
    if program is None:
        return ()
    try:
        told = subprocess.run([program, "--query"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return read(told.stdout.decode("utf-8", "replace")) if told.returncode == 0 else ()


def read(text: str) -> tuple[Screen, ...]:
    """The screens in what `xrandr --query` prints: the primary one first, then in its order."""
    found: list[Screen] = []
    modes: list[str] = []
    name, primary = "", False

    def finish() -> None:
        if name:
            found.append(Screen(name=name, primary=primary, modes=tuple(modes)))

    for line in text.splitlines():
        output = _OUTPUT.match(line)
        if output or _OTHER.match(line):
            finish()
            name, primary, modes = (output[1], bool(output[2]), []) if output else ("", False, [])
        elif name and (mode := _MODE.match(line)):
            modes.append(mode[1])
    finish()
    return tuple(sorted(found, key=lambda screen: not screen.primary))


def command(screens: Sequence[Screen], arrangement: str, resolution: str) -> list[str] | None:
    """The command that arranges them: `one`, `two-extend` (side by side) or `two-mirror`; `resolution` "": what each prefers. More than
    two screens, and the second of `one`, are switched off. None without xrandr or a screen.
    """
    program = shutil.which("xrandr")
    if program is None or not screens:
        return None
    first, *others = screens
    used = others[:1] if arrangement != "one" else []
    shared = _shared(first, used) if arrangement == "two-mirror" and not resolution else ""
    argv = [program, "--output", first.name, "--primary", *_size(first, resolution or shared)]
    for other in used:
        argv += ["--output", other.name, *_size(other, resolution or shared)]
        argv += ["--right-of" if arrangement == "two-extend" else "--same-as", first.name]
    for other in others[len(used) :]:
        argv += ["--output", other.name, "--off"]
    return argv


def _size(screen: Screen, resolution: str) -> list[str]:
    return ["--mode", resolution] if resolution in screen.modes else ["--auto"]


def _shared(first: Screen, used: Sequence[Screen]) -> str:
    """The best size of the first that the second has, too: a mirror of two sizes would cut one picture."""
    return next((mode for mode in first.modes if all(mode in other.modes for other in used)), "") if used else ""
