# SPDX-License-Identifier: MIT
"""Pydantic models: of what clients may say (written by hand, nothing unknown is taken), and of what we answer (made from the values of the
house, as labvirt/shapes.py writes them)."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from pathlib import PurePath
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, create_model

from labvirt import shapes
from labvirt.domain.addresses import AddressPlan, InterfaceName, MacAddress
from labvirt.domain.guest import RunId
from labvirt.domain.template import TemplateName
from labvirt.usecases.ports import Ports

_TEXT = (MacAddress, InterfaceName, RunId, TemplateName, IPv4Address, IPv4Network, PurePath, UUID, AddressPlan)


class Told(BaseModel):
    """What a client says in a body: JSON types as they are declared, and not one field more."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """The fields that are secrets."""
        marks = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
        return frozenset(name for name, more in marks.items() if isinstance(more, dict) and more.get("writeOnly"))

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        return ((name, value) for name, value in super().__repr_args__() if name not in self.secrets())

    def given(self) -> dict[str, Any]:
        """The fields that the client has named."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Asked(BaseModel):
    """What a client says in the query: text that reads as what is declared, and not one word more."""

    model_config = ConfigDict(extra="forbid")


class Answered(BaseModel):
    """What we answer. Only the API's document needs it in full: it is built when that is first asked for, not at each start of the web
    process (a fifth of its time)."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


Render = Callable[[Ports, Any], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a value is written, and the model that describes it."""

    model: type[BaseModel]
    render: Render


def shape(kind: type, render: Callable[[Any], Any] = shapes.plain, *, name: str = "", without: tuple[str, ...] = (), **more: Any) -> Shape:
    """Of a frozen value: its own fields (but those `without`) and `more` (name -> type), as `render` writes them."""
    model = model_of(kind) if not more and not without and not name else _made(name or kind.__name__, kind, without, more)
    return Shape(model, lambda ports, value: render(value))


def model_of(kind: type) -> type[BaseModel]:
    """The model of a frozen value that `shapes.plain` writes."""
    return _plain_model(kind)


@cache
def _plain_model(kind: type) -> type[BaseModel]:
    return _made(kind.__name__, kind, (), {})


def _made(name: str, kind: type, without: tuple[str, ...], more: Mapping[str, Any]) -> type[BaseModel]:
    hints = _hints(kind)
    own = {field.name: written(hints[field.name]) for field in fields(kind) if field.name not in without}
    parts: dict[str, Any] = {each: (as_what, ...) for each, as_what in (own | dict(more)).items()}
    model: type[BaseModel] = create_model(name, __base__=Answered, __doc__=(kind.__doc__ or "").split("\n\n")[0], **parts)
    return model


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def written(hint: Any) -> Any:
    """The type, as pydantic knows it, of what `shapes.plain` makes of a value of this type."""
    origin, arms = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(written(arm) for arm in arms)]  # noqa: UP007 - made from arms that are counted at run time
    if origin is tuple and (len(arms) != 2 or arms[1] is not Ellipsis):
        return tuple.__class_getitem__(tuple(written(arm) for arm in arms))
    if origin in (tuple, list, frozenset, set):
        return list[written(arms[0])]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, written(arms[1])]  # type: ignore[misc]
    if isinstance(hint, type):
        if issubclass(hint, _TEXT):
            return str
        if issubclass(hint, Enum | datetime):
            return hint
        if is_dataclass(hint):
            return _plain_model(hint)
    return hint


Text = Annotated[str, Field(max_length=200, description="Printable characters.")]
Secret = Annotated[str, Field(max_length=256, json_schema_extra={"writeOnly": True})]
"""Told by a client, and never written down: not in a log, not for a repeated request."""
Password = Annotated[Secret, Field(min_length=1, description="8 to 128 characters; 15 or more are recommended.")]
Name = Annotated[str, Field(min_length=1, max_length=32, description="a-z, 0-9 and '-', beginning with a letter.")]
Seat = Annotated[int, Field(ge=1, le=4094)]
Seconds = Annotated[int, Field(ge=0, le=86400)]
Whole = Annotated[int, Field(ge=0, le=1 << 31)]
Number = Annotated[int, Field(ge=1, le=999_999_999)]
