# SPDX-License-Identifier: MIT
"""What a noun's file declares: one Operation per method and path. Everything else (route, checks, document) follows from these values."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from labvirt.web.api.model import Asked, Shape, Told

PREFIX = "/api/v1"
_PLACE = re.compile(r"\{([a-z_]+)\}")

Run = TypeVar("Run", bound=Callable[..., Any])


class NoWords(Asked):
    """A query without a word."""


@dataclass(frozen=True, slots=True)
class Many:
    """A list of things, told in pages. `key` is unique and never changes for a thing; `sorts` are the other orders there are, by name."""

    each: Shape
    key: Callable[[Any], Any]
    sorts: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    newest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """`id` is stable: clients are generated from it. `cli`: the commands that do the same."""

    id: str
    noun: str
    method: str
    path: str
    summary: str
    more: str
    run: Callable[..., Any]
    places: Mapping[str, TypeAdapter[Any]]
    told: type[Told] | None
    asked: type[Asked]
    answers: Shape | Many | str | None
    """A string: the media type of bytes."""
    status: HTTPStatus
    cli: tuple[str, ...]
    tagged: bool
    """The answer has an ETag, and is not sent twice (If-None-Match)."""
    guarded_by: str | None
    """The operation whose ETag If-Match is compared with."""
    needs_engine: bool
    secret: bool
    """Its answer holds a secret that is told once: it is not kept for a repeated request."""

    @property
    def rule(self) -> str:
        """As Flask writes it."""
        return PREFIX + _PLACE.sub(r"<\1>", self.path)


class Noun:
    """The operations on one kind of thing. Its methods are decorators for functions (ports, the places of the path, `told`, `asked`)."""

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self.sentence = sentence
        self.operations: list[Operation] = []

    def get(self, path: str, answers: Shape | Many | str, **more: Any) -> Callable[[Run], Run]:
        """Looks, and changes nothing. A single thing has an ETag."""
        more.setdefault("tagged", not isinstance(answers, Many))
        return self._add("GET", path, answers, **more)

    def post(self, path: str, answers: Shape | Many | None, **more: Any) -> Callable[[Run], Run]:
        """Does something; once per Idempotency-Key."""
        return self._add("POST", path, answers, **more)

    def patch(self, path: str, answers: Shape, **more: Any) -> Callable[[Run], Run]:
        """Changes the fields that are named."""
        return self._add("PATCH", path, answers, **more)

    def put(self, path: str, answers: Shape | None, **more: Any) -> Callable[[Run], Run]:
        """Afterwards it is what the body says."""
        return self._add("PUT", path, answers, **more)

    def delete(self, path: str, answers: Shape | Many | None = None, **more: Any) -> Callable[[Run], Run]:
        """Takes it away."""
        return self._add("DELETE", path, answers, **more)

    def _add(
        self,
        method: str,
        path: str,
        answers: Shape | Many | str | None,
        *,
        status: HTTPStatus | None = None,
        cli: str | tuple[str, ...] = (),
        tagged: bool = False,
        guarded_by: str | None = None,
        needs_engine: bool = False,
        secret: bool = False,
    ) -> Callable[[Run], Run]:
        def declared(run: Run) -> Run:
            hints = typing.get_type_hints(run, include_extras=True)
            words = inspect.cleandoc(run.__doc__ or "").split("\n\n", 1)
            summary = words[0].replace("\n", " ")
            self.operations.append(
                Operation(
                    id=f"{self.name}_{run.__name__.strip('_')}",
                    noun=self.name,
                    method=method,
                    path=path,
                    summary=summary,
                    more=words[1].replace("\n", " ") if len(words) > 1 else "",
                    run=run,
                    places={name: TypeAdapter(hints[name]) for name in _PLACE.findall(path)},
                    told=hints.get("told"),
                    asked=hints.get("asked", NoWords),
                    answers=answers,
                    status=status or (HTTPStatus.NO_CONTENT if answers is None else HTTPStatus.OK),
                    cli=(cli,) if isinstance(cli, str) else cli,
                    tagged=tagged,
                    guarded_by=guarded_by,
                    needs_engine=needs_engine,
                    secret=secret,
                )
            )
            return run

        return declared


def answered_model(operation: Operation) -> type[BaseModel] | None:
    """The model of what it answers, of one thing; None for bytes and for nothing."""
    answers = operation.answers
    if isinstance(answers, Many):
        return answers.each.model
    return answers.model if isinstance(answers, Shape) else None
