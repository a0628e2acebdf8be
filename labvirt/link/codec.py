# SPDX-License-Identifier: MIT
"""Frozen values <-> JSON, by their type hints; and messages <-> lines of at most MAX_LINE bytes. Pure.

Errors travel as their code, sentence, hint and plain attributes and come back as the same leaf of labvirt.errors.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache, lru_cache, partial
from ipaddress import IPv4Address
from typing import Any

from labvirt import errors
from labvirt.errors import InvalidInput, LabVirtError

MAX_LINE = 1 << 20
"""Bytes of one message with its newline (1 MiB)."""

ADDRESSES = 16384
"""So many are kept that were read."""


def encode(message: Mapping[str, Any]) -> bytes:
    """One line. Raises InvalidInput when it is too long."""
    line = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    if len(line) > MAX_LINE:
        raise InvalidInput("message", f"is longer than {MAX_LINE} bytes")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """The message of one line. Raises InvalidInput unless it is one JSON object."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("message", "is not JSON") from error
    if not isinstance(message, dict):
        raise InvalidInput("message", "is not a JSON object")
    return message


def pack(value: object) -> Any:
    """A value as JSON: dataclasses become objects, tuples lists, everything else its usual text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, IPv4Address):
        return str(value)
    if isinstance(value, tuple | list):
        return [pack(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: pack(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} does not travel")


def unpack(kind: Any, data: Any, field: str = "value") -> Any:
    """The value of type `kind` that `data` stands for. Raises InvalidInput naming the field that does not fit."""
    try:
        return _reader(kind)(data)
    except _Misfit as error:
        raise InvalidInput(f"{field}{error.where}", "does not fit") from error


class _Misfit(Exception):
    """`where` is the way to it, below what is being read: '.lease.mac'."""

    def __init__(self, where: str = "") -> None:
        super().__init__(where)
        self.where = where


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """How to read values of this type, found out once: a page of many labs reads thousands of leases. It raises _Misfit."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        there = _reader(next(arm for arm in typing.get_args(kind) if arm is not type(None)))
        return lambda data: None if data is None else there(data)
    if origin is tuple:
        return _of_tuple(typing.get_args(kind))
    if kind is None or kind is type(None):
        return lambda data: _fitting(data, data is None)
    if kind in (str, bool, int):
        return lambda data: _fitting(data, type(data) is kind)
    if kind is float:
        return lambda data: float(_fitting(data, type(data) in (int, float)))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _of_dataclass(kind)
    return _of_text(kind)


def _of_tuple(arms: tuple[Any, ...]) -> Callable[[Any], Any]:
    readers = [_reader(arm) for arm in arms if arm is not Ellipsis]
    if len(arms) == 2 and arms[1] is Ellipsis:
        return lambda data: tuple(map(readers[0], _fitting(data, type(data) is list)))
    return lambda data: tuple(
        read(item) for read, item in zip(readers, _fitting(data, type(data) is list and len(data) == len(readers)), strict=True)
    )


def _of_dataclass(kind: type) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in _hints(kind).items()}
    needed = _needed(kind)

    def read(data: Any) -> Any:
        _fitting(data, type(data) is dict and data.keys() <= readers.keys() and needed <= data.keys())
        told = {}
        for name, value in data.items():
            try:
                told[name] = readers[name](value)
            except _Misfit as error:
                raise _Misfit(f".{name}{error.where}") from error
        return kind(**told)

    return read


def _of_text(kind: Any) -> Callable[[Any], Any]:
    """What is written as text. Addresses come again and again: each is made once."""
    of: Callable[[str], Any] = kind
    if kind is bytes:
        of = partial(base64.b64decode, validate=True)
    elif kind is datetime:
        of = datetime.fromisoformat
    elif kind is IPv4Address:
        of = lru_cache(maxsize=ADDRESSES)(IPv4Address)

    def read(data: Any) -> Any:
        _fitting(data, type(data) is str)
        try:
            return of(data)
        except ValueError as error:
            raise _Misfit from error

    return read


def _fitting(data: Any, right: bool) -> Any:
    if not right:
        raise _Misfit
    return data


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


@cache
def _needed(kind: type) -> frozenset[str]:
    none = dataclasses.MISSING
    return frozenset(f.name for f in dataclasses.fields(kind) if f.default is none and f.default_factory is none)


def _expect(right: bool, field: str) -> None:
    if not right:
        raise InvalidInput(field, "does not fit")


def pack_error(error: LabVirtError) -> dict[str, Any]:
    """Its code, its words, and its attributes that are plain text or numbers."""
    attributes = {k: v for k, v in vars(error).items() if isinstance(v, str | int) and not isinstance(v, bool)}
    return {"code": error.code, **attributes}


def unpack_error(data: Any) -> LabVirtError:
    """The same leaf with the same words; a code from a newer engine becomes a plain LabVirtError with its words."""
    _expect(type(data) is dict and type(data.get("code")) is str, "error")
    leaf = _leaves().get(data["code"], LabVirtError)
    error = leaf.__new__(leaf)
    sentence = str(data.get("sentence", "The engine refused."))
    Exception.__init__(error, sentence)
    error.sentence, error.hint = sentence, str(data.get("hint", ""))
    for name, value in data.items():
        if name.isidentifier() and not name.startswith("_") and name not in ("code", "args") and type(value) in (str, int):
            setattr(error, name, value)
    return error


@cache
def _leaves() -> dict[str, type[LabVirtError]]:
    """The tree of labvirt.errors by code; a driver's private subclass shares its parent's code and travels as its parent."""
    return {kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabVirtError)}
