# SPDX-License-Identifier: MIT
"""Settings of what a terminal shows and what its person may do, in a cascade: site < lab < terminal class < terminal.

Pure. A setting that is set nowhere has its default, which is what a terminal does when nobody tells it anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from labvirt.errors import InvalidInput

NONE = "none"
"""The empty list, for settings that hold a list of words."""
ALLOWED_DEEDS = ("restart-guest", "fresh-guest", "power")
KEYBOARDS = ("us", "gb", "es", "latam", "fr", "ca", "be", "cz", "cz-qwerty", "ru", "de", "pt")
"""As in kiosk/labvirt_kiosk/keyboard.py; a test of the kiosk compares the two."""
LANGUAGES = ("en", "es", "fr", "cs", "ru")
"""As in kiosk/labvirt_kiosk/catalogue.py."""

_SIZE = re.compile(r"([1-9][0-9]{2,3})x([1-9][0-9]{2,3})\Z", re.ASCII)
SMALLEST, LARGEST = (640, 480), (7680, 4320)
"""VGA and 8K UHD: what xrandr of a PC may know."""


class Scope(StrEnum):
    """Where a value is set, weakest first."""

    SITE = "site"
    LAB = "lab"
    CLASS = "class"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key. `read` gives the value in its one spelling and raises ValueError for any other; `choices` are for a form, if few."""

    key: str
    default: str
    allowed: str
    sentence: str
    read: Callable[[str], str]
    choices: tuple[str, ...] = ()


def _one_of(key: str, default: str, values: tuple[str, ...], sentence: str) -> Setting:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError
        return text

    return Setting(key=key, default=default, allowed=f"one of {', '.join(values)}", sentence=sentence, read=read, choices=values)


def _number(key: str, default: int, lowest: int, highest: int, sentence: str) -> Setting:
    def read(text: str) -> str:
        if not text.isascii() or not text.isdigit() or len(text) > 6 or not lowest <= int(text) <= highest:
            raise ValueError
        return str(int(text))

    return Setting(key=key, default=str(default), allowed=f"a whole number from {lowest} to {highest}", sentence=sentence, read=read)


def _some_of(key: str, default: str, words: tuple[str, ...], sentence: str) -> Setting:
    def read(text: str) -> str:
        given = [] if text == NONE else [word.strip() for word in text.split(",")]
        if any(word not in words for word in given) or len(set(given)) != len(given) or not text:
            raise ValueError
        return ",".join(word for word in words if word in given) or NONE

    allowed = f"{NONE}, or some of {', '.join(words)} with commas between them"
    return Setting(key=key, default=default, allowed=allowed, sentence=sentence, read=read)


def _resolution(text: str) -> str:
    if text == "auto":
        return text
    found = _SIZE.match(text)
    if not found or not all(low <= int(side) <= high for side, low, high in zip(found.groups(), SMALLEST, LARGEST, strict=True)):
        raise ValueError
    return text


SETTINGS = {
    each.key: each
    for each in (
        _one_of("keyboard", "auto", ("auto", *KEYBOARDS), "Keyboard layout; auto: what the terminal was started with."),
        _one_of("language", "auto", ("auto", *LANGUAGES), "Language of the terminal's own words; auto: what it was started with."),
        _some_of("fixed", NONE, ("keyboard", "language"), "What the person may not choose differently."),
        Setting(
            key="resolution",
            default="auto",
            allowed=f"auto, or WIDTHxHEIGHT from {SMALLEST[0]}x{SMALLEST[1]} to {LARGEST[0]}x{LARGEST[1]}",
            sentence="Size of the picture on each screen; auto: what the screen itself prefers.",
            read=_resolution,
        ),
        _one_of("screens", "one", ("one", "two-extend", "two-mirror"), "One screen, two side by side, or two with the same picture."),
        _one_of("usb", "off", ("on", "off"), "USB sticks of the terminal are handed to the guest."),
        _one_of("sound", "on", ("on", "off"), "Sound of the guest comes out of the terminal."),
        _number("idle_off_minutes", 0, 0, 1440, "The screen goes dark after so many minutes without a key or the mouse; 0: never."),
        _number("notice_seconds", 20, 5, 600, "A message stays over the desktop for so many seconds."),
        _number("retry_most_seconds", 60, 5, 300, "The longest pause between two tries while the controller or the guest is away."),
        _one_of(
            "keep_on_disk",
            "off",
            ("on", "off"),
            "A terminal with an empty disk keeps its kiosk there and fetches it no more; a disk with anything on it is left alone.",
        ),
        _some_of("allow", NONE, ALLOWED_DEEDS, "What the person may do: restart the guest, get a fresh one, switch the terminal off."),
    )
}
"""Key -> setting, in the order in which people see them."""


def check(key: str, value: str) -> str:
    """The value in its one spelling. Raises InvalidInput that names the key, what is wrong, and what is allowed."""
    setting = SETTINGS.get(key)
    if setting is None:
        raise InvalidInput("key", f"{key[:40]!r} is no setting", hint=f"There are: {', '.join(SETTINGS)}.")
    try:
        return setting.read(value.strip())
    except ValueError:
        raise InvalidInput(key, f"cannot be {value[:40]!r}", hint=f"Allowed: {setting.allowed}.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingValue:
    """One value that somebody set. `subject` names the lab, class or terminal; empty for the site."""

    scope: Scope
    subject: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What counts for one key, and where it comes from; `scope` None: it is the default."""

    setting: Setting
    value: str
    scope: Scope | None = None
    subject: str = ""

    @property
    def origin(self) -> str:
        """'default', 'site' or 'lab lab-a'."""
        return "default" if self.scope is None else f"{self.scope} {self.subject}".rstrip()


_STRENGTH = {scope: place for place, scope in enumerate(Scope)}


def cascade(given: Iterable[SettingValue]) -> tuple[Effective, ...]:
    """What counts when these are set: for each key the value of the strongest scope, else the default. A key that this version does not
    know, or a value that it would not take any more, counts as not set."""
    found: dict[str, Effective] = {key: Effective(setting=setting, value=setting.default) for key, setting in SETTINGS.items()}
    for each in sorted(given, key=lambda one: _STRENGTH[one.scope]):
        try:
            value = check(each.key, each.value)
        except InvalidInput:
            continue
        found[each.key] = Effective(setting=SETTINGS[each.key], value=value, scope=each.scope, subject=each.subject)
    return tuple(found.values())


def words_of(value: str) -> tuple[str, ...]:
    """The words of a setting that holds a list."""
    return () if value == NONE else tuple(value.split(","))
