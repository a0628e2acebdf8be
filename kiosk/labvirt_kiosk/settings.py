# SPDX-License-Identifier: MIT
"""The kiosk's settings, and where each may come from: option, then environment, then kernel command line, then default.

Pure: the three sources are handed in. A wrong value ends the program with a sentence (exit code 2).
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from labvirt_kiosk import __version__
from labvirt_kiosk.catalogue import LANGUAGES
from labvirt_kiosk.keyboard import LAYOUTS
from labvirt_kiosk.order import WORDS

DEFAULT_URL = "http://labvirt/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that may differ from one terminal to the next."""

    url: str
    """Where the controller is; http or https, without user, query or fragment."""
    terminal_id: str | None
    """The id to ask with, or None: the MAC of the interface."""
    interface: str | None
    """The interface whose MAC is the id, or None: that of the default route."""
    state: Path
    """Folder for the last good answer and the viewer's log."""
    status_file: Path | None
    """Where the status is written as JSON, if anywhere."""
    windowed: bool
    """Do not ask the viewer for the full screen."""
    face: bool
    """Show the face, if there is a display and Tk."""
    language: str | None
    """One of catalogue.LANGUAGES, or None: what the person chose last, else English."""
    keyboard: str | None
    """One of keyboard.LAYOUTS, or None: what the person chose last, else what the X server has."""
    power: bool
    """The person may restart this terminal and switch it off."""
    orders: bool = False
    """The controller may too; so it may wherever the person may."""
    renew: Path | None = None
    """The pipe of whoever renews this terminal's lease, if there is one."""
    leave: str | None = None
    """Only say goodbye, and restart or switch off: one of order.WORDS."""


def read(argv: Sequence[str], environment: Mapping[str, str], kernel_command_line: str) -> Settings:
    """The settings in force. Ends the program (SystemExit 2) with a sentence on stderr if one is wrong."""
    parser = _parser()
    given = parser.parse_args(argv)
    kernel = _kernel_parameters(kernel_command_line)

    def first(option: str | None, variable: str, parameter: str) -> str | None:
        return option or environment.get(variable) or kernel.get(parameter) or None

    url = first(given.url, "LABVIRT_URL", "labvirt.url") or DEFAULT_URL
    terminal_id = first(given.id, "LABVIRT_ID", "labvirt.id")
    state = first(given.state, "LABVIRT_KIOSK_STATE", "labvirt.kiosk_state")
    status_file = first(given.status_file, "LABVIRT_KIOSK_STATUS_FILE", "labvirt.kiosk_status_file")
    renew = first(given.renew, "LABVIRT_RENEW", "labvirt.renew")
    language = first(given.language, "LABVIRT_LANGUAGE", "labvirt.language")
    keyboard = first(given.keyboard, "LABVIRT_KEYBOARD", "labvirt.keyboard")
    wrong = (
        _wrong_url(url),
        _wrong_id(terminal_id),
        _not_one_of("language", language, LANGUAGES),
        _not_one_of("keyboard", keyboard, LAYOUTS),
    )
    for reason in filter(None, wrong):
        parser.error(reason)
    power = given.power or bool(environment.get("LABVIRT_POWER")) or "labvirt.power" in kernel
    return Settings(
        url=url,
        terminal_id=terminal_id,
        interface=first(given.interface, "LABVIRT_INTERFACE", "labvirt.interface"),
        state=Path(state) if state else _default_state(environment),
        status_file=Path(status_file) if status_file else None,
        windowed=given.windowed or bool(environment.get("LABVIRT_WINDOWED")) or "labvirt.windowed" in kernel,
        face=not (given.no_face or environment.get("LABVIRT_NO_FACE") or "labvirt.no_face" in kernel),
        language=language,
        keyboard=keyboard,
        power=power,
        orders=power or given.orders or bool(environment.get("LABVIRT_ORDERS")) or "labvirt.orders" in kernel,
        renew=Path(renew) if renew else None,
        leave=given.leave,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="labvirt-kiosk",
        description="Ask the LabVirt controller which guest this terminal shows, and show it.",
        epilog="Each option may also come from the environment or the kernel command line: see kiosk/README.md.",
        allow_abbrev=False,
    )
    parser.add_argument("--url", help=f"address of the controller (LABVIRT_URL, labvirt.url=; default {DEFAULT_URL})")
    parser.add_argument("--id", help="id of this terminal (default: the MAC of its interface)")
    parser.add_argument("--interface", help="interface whose MAC is the id (default: that of the default route)")
    parser.add_argument("--state", metavar="DIR", help="folder for the last good answer and the viewer's log")
    parser.add_argument("--status-file", metavar="FILE", help="write the status there as JSON, at each change")
    parser.add_argument("--windowed", action="store_true", help="let the viewer have a window, not the full screen")
    parser.add_argument("--no-face", action="store_true", help="only the status line, also where there is a display")
    parser.add_argument("--language", metavar="CODE", help=f"one of {', '.join(LANGUAGES)} (default: chosen last, else en)")
    parser.add_argument("--keyboard", metavar="CODE", help=f"one of {', '.join(LAYOUTS)} (default: chosen last)")
    parser.add_argument("--power", action="store_true", help="offer to restart this terminal and to switch it off")
    parser.add_argument("--orders", action="store_true", help="let the controller restart this terminal and switch it off")
    parser.add_argument("--renew", metavar="PIPE", help="write `renew` there when the controller has another address for this terminal")
    parser.add_argument("--leave", choices=list(WORDS), help="say goodbye to the controller, then restart or switch off; nothing else")
    parser.add_argument("--version", action="version", version=f"labvirt-kiosk {__version__}")
    return parser


def _kernel_parameters(command_line: str) -> dict[str, str]:
    try:
        words = shlex.split(command_line)
    except ValueError:  # an unbalanced quote: the kernel does not mind, so neither do we
        words = command_line.split()
    return {key: value for key, _, value in (word.partition("=") for word in words) if key.startswith("labvirt.")}


def _wrong_url(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment or not url.isprintable() or " " in url:
        return f"the controller's address {url[:100]!r} is not like http://labvirt/ or https://10.0.0.1:8080/"
    return None


def _not_one_of(what: str, chosen: str | None, known: Collection[str]) -> str | None:
    if chosen is None or chosen in known:
        return None
    return f"the {what} {chosen[:40]!r} must be one of {', '.join(known)}"


def _wrong_id(terminal_id: str | None) -> str | None:
    if terminal_id is None or (len(terminal_id) <= 64 and terminal_id.isprintable() and " " not in terminal_id):
        return None
    return f"the id {terminal_id[:80]!r} must be 1 to 64 printable characters without spaces"


def _default_state(environment: Mapping[str, str]) -> Path:
    home = Path(environment.get("HOME") or "/")
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "labvirt-kiosk"
