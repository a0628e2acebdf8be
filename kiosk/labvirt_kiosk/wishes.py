# SPDX-License-Identifier: MIT
"""What the controller wishes of this terminal (the answer's `settings` and `allowed`), checked value by value. Pure.

Whatever is missing, unknown or wrong is as if nobody had wished anything: a terminal trusts no controller, and an older one gives none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from labvirt_kiosk.catalogue import LANGUAGES
from labvirt_kiosk.keyboard import LAYOUTS

DEEDS = ("restart-guest", "fresh-guest", "power")
SCREENS = ("one", "two-extend", "two-mirror")

_SIZE = re.compile(r"[1-9][0-9]{2,3}x[1-9][0-9]{2,3}\Z", re.ASCII)
_MOST = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """`""`, `one` and None: as this terminal does by itself."""

    keyboard: str = ""
    language: str = ""
    fixed: tuple[str, ...] = ()
    """Of `keyboard` and `language`: what the person may not choose differently."""
    resolution: str = ""
    screens: str = "one"
    usb: bool = False
    sound: bool | None = None
    """None: the viewer's arguments decide."""
    idle_off_minutes: int | None = None
    """None: the X server's own; 0: never."""
    notice_seconds: int = 20
    retry_most_seconds: int = 60
    allowed: tuple[str, ...] = ()
    """Of DEEDS."""


def wishes_of(settings: Mapping[str, str], allowed: Collection[str]) -> Wishes:
    """What they say, as far as it is on the lists."""
    say = settings.get
    fixed = say("fixed", "").split(",")
    size = say("resolution", "")
    screens = say("screens", "")
    return Wishes(
        keyboard=say("keyboard", "") if say("keyboard", "") in LAYOUTS else "",
        language=say("language", "") if say("language", "") in LANGUAGES else "",
        fixed=tuple(word for word in ("keyboard", "language") if word in fixed),
        resolution=size if _SIZE.match(size) else "",
        screens=screens if screens in SCREENS else "one",
        usb=say("usb") == "on",
        sound={"on": True, "off": False}.get(say("sound", "")),
        idle_off_minutes=_number(say("idle_off_minutes", ""), 0, 1440),
        notice_seconds=_number(say("notice_seconds", ""), 5, 600) or 20,
        retry_most_seconds=_number(say("retry_most_seconds", ""), 5, 300) or 60,
        allowed=tuple(word for word in DEEDS if word in allowed),
    )


def texts(value: object) -> dict[str, str]:
    """The texts in a decoded `settings` object; {} for anything else."""
    if not isinstance(value, dict) or len(value) > _MOST:
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str) and len(text) <= 100 and text.isprintable()}


def words(value: object) -> tuple[str, ...]:
    """The words in a decoded `allowed` list; () for anything else."""
    if not isinstance(value, list) or len(value) > _MOST:
        return ()
    return tuple(word for word in DEEDS if word in value)


def _number(text: str, lowest: int, highest: int) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return int(text) if lowest <= int(text) <= highest else None
