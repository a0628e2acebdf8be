# SPDX-License-Identifier: MIT
"""Kinds of words on the command line: each is checked by the domain's own rule before anything is opened or written."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import click

from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.names import TEXT_LENGTH, check_name, check_terminal_id
from labvirt.domain.profile import Bus, Slot, SlotKind
from labvirt.domain.terminal_class import PROGRAMS, check_parameter
from labvirt.errors import InvalidInput
from labvirt.usecases.labs import parse_network

_GUEST = re.compile(r"[a-z][a-z0-9-]{0,50}\Z", re.ASCII)


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


def _parameter(value: str, field: str) -> tuple[str, str]:
    name, equals, text = value.partition("=")
    if not equals:
        raise InvalidInput(field, "must look like NAME=VALUE")
    return check_parameter(name, text, field)


def _program(value: str, field: str) -> str:
    if value not in PROGRAMS:
        raise InvalidInput(field, f"must be one of {', '.join(PROGRAMS)}", hint="Terminals run nothing else.")
    return value


def _mac(value: str, field: str) -> MacAddress:
    return MacAddress.parse(value, field)


def _network(value: str, field: str) -> AddressPlan:
    return parse_network(value)


NAME = Word("NAME", check_name)
GUEST = Word("GUEST", _guest)
STRANGER = Word("CODE", check_terminal_id)
INVENTORY = Word("ID", check_terminal_id)
MAC = Word("MAC", _mac)
NETWORK = Word("NETWORK", _network)
TEXT = Word("TEXT", _text)
SLOT = Word("DISK", _slot)
PARAMETER = Word("NAME=VALUE", _parameter)
PROGRAM = Word("|".join(PROGRAMS), _program)
