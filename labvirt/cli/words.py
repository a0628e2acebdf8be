# SPDX-License-Identifier: MIT
"""Kinds of words on the command line: each is checked by the domain's own rule before anything is opened or written."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import click

from labvirt.cli.amounts import parse_size
from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.audit import parse_anchor, parse_moment
from labvirt.domain.draft import check_draft_name
from labvirt.domain.extra_arguments import check_extra
from labvirt.domain.guest import RunId
from labvirt.domain.names import TEXT_LENGTH, check_name, check_terminal_id
from labvirt.domain.person import check_person_name, parse_grant
from labvirt.domain.power_times import parse_days, parse_time
from labvirt.domain.profile import Bus, Slot, SlotKind
from labvirt.domain.setting import SETTINGS
from labvirt.domain.stick import controller_url, kernel_words
from labvirt.domain.terminal_class import PROGRAMS, check_parameter
from labvirt.errors import InvalidInput
from labvirt.usecases.labs import parse_network

_GUEST = re.compile(r"[a-z][a-z0-9-]{0,50}\Z", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z", re.ASCII)
_NUMBER = re.compile(r"[1-9][0-9]{0,8}\Z", re.ASCII)
_CHECK = re.compile(r"[a-z][a-z0-9_]{0,40}\.py\Z", re.ASCII)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)
LONGEST_PATH = 4096


class Word(click.ParamType[Any]):
    """A kind of word: its name in the help text, and the check that returns its value or raises InvalidInput(field,
    ...).
    """

    def __init__(self, name: str, check: Callable[[str, str], Any]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        return self._check(value, (param.name if param and param.name else self.name))


def choice(kind: type[StrEnum]) -> Word:
    """One of the values of an enumeration."""
    values = tuple(str(each) for each in kind)

    def check(value: str, field: str) -> StrEnum:
        try:
            return kind(value)
        except ValueError as error:
            raise InvalidInput(field, f"must be one of {', '.join(values)}") from error

    return Word("|".join(values), check)


def _guest(value: str, field: str) -> str:
    if not _GUEST.match(value):
        raise InvalidInput(field, "is not the name of a guest or terminal", hint="It looks like lab-a-07.")
    return value


def _text(value: str, field: str) -> str:
    if len(value) > TEXT_LENGTH or not value.isprintable():
        raise InvalidInput(field, f"must be at most {TEXT_LENGTH} printable characters")
    return value


def _slot(value: str, field: str) -> Slot:
    """IMAGE:BUS, IMAGE@VERSION:BUS, cdrom:BUS or empty:BUS."""
    what, _, bus_word = value.partition(":")
    try:
        bus = Bus(bus_word)
    except ValueError as error:
        raise InvalidInput(
            field, f"the bus must be one of {', '.join(Bus)}", hint="Write IMAGE:BUS, IMAGE@VERSION:BUS, cdrom:BUS or empty:BUS."
        ) from error
    if what in (SlotKind.CDROM, SlotKind.EMPTY):
        return Slot(kind=SlotKind(what), bus=bus)
    image, at, number = what.partition("@")
    if at and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise InvalidInput(field, "the version must be a number", hint="Write IMAGE@3:virtio.")
    return Slot(kind=SlotKind.DISK, bus=bus, image=check_name(image, field), version=int(number) if at else None)


def _number(value: str, field: str) -> int:
    if not _NUMBER.match(value):
        raise InvalidInput(field, "must be a number from 1")
    return int(value)


def _at(value: str, field: str) -> tuple[str, int | None]:
    """NAME or NAME:N."""
    name, colon, number = value.partition(":")
    return check_name(name, field), _number(number, field) if colon else None


def _draft(value: str, field: str) -> str:
    """The name of a draft, or of the image whose only draft it is."""
    if "." not in value:
        return check_name(value, field)
    try:
        check_draft_name(value)
    except InvalidInput as error:
        raise InvalidInput(field, error.reason, hint=error.hint) from error
    return value


def _draft_name(value: str, field: str) -> str:
    """Only a draft's own name."""
    return _draft(value if "." in value else f"{value}.", field)


def _run(value: str, field: str) -> str:
    """A run, or the guest or terminal whose last one is meant."""
    try:
        return str(RunId.parse(value)) if "." in value else _guest(value, field)
    except InvalidInput as error:
        raise InvalidInput(field, "is not the name of a run or guest", hint="It looks like lab-a-07.g3: labvirt rescue list") from error


def _sha256(value: str, field: str) -> str:
    if not _SHA256.match(value):
        raise InvalidInput(field, "must be 64 hexadecimal digits", hint="sha256sum FILE prints them.")
    return value.lower()


def _path(value: str, field: str) -> Path:
    """Of this machine, absolute afterwards: it may be another process that opens it."""
    if not value or len(value.encode(errors="replace")) > LONGEST_PATH:
        raise InvalidInput(field, f"must be the name of a file, at most {LONGEST_PATH} bytes")
    if not value.isprintable():
        raise InvalidInput(field, "must be a name of printable characters", hint="Rename it, or make a link with a plain name.")
    return Path(value).absolute()


def _inside(value: str, field: str) -> str:
    """Of a file inside a guest's disk, as `rescue files` lists them: it may look strange, but it is one line."""
    if len(value) > LONGEST_PATH or not value.isprintable() or ".." in value.split("/"):
        raise InvalidInput(field, "is not a path inside the disk", hint="It looks like 1/home/student/work.odt: labvirt rescue files RUN")
    return value


def _position(value: str, field: str) -> tuple[str, int | None]:
    """LAB=N, or LAB= to forget it."""
    lab, equals, number = value.partition("=")
    if not equals or (number and not (number.isascii() and number.isdigit() and len(number) < 5)):
        raise InvalidInput(field, "must look like LAB=N", hint="lab-a=10 puts it at position 10 there; lab-a= forgets that.")
    return check_name(lab, field), int(number) if number else None


def _extra(value: str, field: str) -> str:
    check_extra((value,))
    return value


def _check(value: str, field: str) -> str:
    if not _CHECK.match(value):
        raise InvalidInput(field, "must be the name of a Python file in small letters", hint="It looks like test_office.py")
    return value


def _parameter(value: str, field: str) -> tuple[str, str]:
    name, equals, text = value.partition("=")
    if not equals:
        raise InvalidInput(field, "must look like NAME=VALUE")
    return check_parameter(name, text, field)


def _program(value: str, field: str) -> str:
    if value not in PROGRAMS:
        raise InvalidInput(field, f"must be one of {', '.join(PROGRAMS)}", hint="Terminals run nothing else.")
    return value


def _clock(value: str, field: str) -> tuple[int, int]:
    """Hours and minutes."""
    found = _CLOCK.match(value)
    if not found:
        raise InvalidInput(field, "must be a time of day", hint="Write it like 10:05.")
    return int(found[1]), int(found[2])


def _setting(value: str, field: str) -> str:
    if value not in SETTINGS:
        raise InvalidInput(field, f"{value[:40]!r} is no setting", hint=f"There are: {', '.join(SETTINGS)}.")
    return value


def _mac(value: str, field: str) -> MacAddress:
    return MacAddress.parse(value, field)


def _network(value: str, field: str) -> AddressPlan:
    return parse_network(value)


NAME = Word("NAME", check_name)
PERSON = Word("NAME", check_person_name)
GRANT = Word("ROLE[:LAB]", parse_grant)
GUEST = Word("GUEST", _guest)
STRANGER = Word("CODE", check_terminal_id)
INVENTORY = Word("ID", check_terminal_id)
MAC = Word("MAC", _mac)
NETWORK = Word("NETWORK", _network)
TEXT = Word("TEXT", _text)
SLOT = Word("DISK", _slot)
PARAMETER = Word("NAME=VALUE", _parameter)
PROGRAM = Word("|".join(PROGRAMS), _program)
NUMBER = Word("N", _number)
IMAGE_AT = Word("NAME[:N]", _at)
DRAFT = Word("NAME", _draft)
DRAFT_NAME = Word("DRAFT", _draft_name)
RUN = Word("RUN", _run)
SIZE = Word("SIZE", parse_size)
SHA256 = Word("HEX", _sha256)
FILE = Word("FILE", _path)
INSIDE = Word("PATH", _inside)
LAB_POSITION = Word("LAB=N", _position)
EXTRA = Word("OPTION=VALUE", _extra)
TIME = Word("HH:MM", parse_time)
MOMENT = Word("TIME", parse_moment)
ANCHOR = Word("NUMBER:SEAL", parse_anchor)
DAYS = Word("DAYS", parse_days)
CHECK = Word("NAME", _check)
SETTING = Word("KEY", _setting)
CLOCK = Word("HH:MM", _clock)
CONTROLLER = Word("URL", controller_url)
KERNEL_WORDS = Word("TEXT", kernel_words)
