# SPDX-License-Identifier: MIT
"""/classes: which viewer a kind of terminal runs, and with which arguments."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.terminal_class import TerminalClass, check_parameter
from labvirt.usecases import classes
from labvirt.usecases.classes import ClassView, Missing
from labvirt.usecases.ports import Ports
from labvirt.web.api.model import Name, Told, model_of, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("classes", "Terminal classes: which viewer a kind of terminal runs, and with which arguments.")

CLASS = shape(TerminalClass, shapes.terminal_class, name="TerminalClass", without=("defaults",), defaults=dict[str, str])
CLASS_VIEW = shape(
    TerminalClass,
    shapes.class_view,
    name="TerminalClassView",
    without=("defaults",),
    defaults=dict[str, str],
    parameters=list[str],
    filled_by_labvirt=list[str],
    filled_by_terminal=list[str],
    required=list[str],
    terminals=list[str],
    missing=list[model_of(Missing)],  # type: ignore[misc]
)

Program = Annotated[str, Field(max_length=40, description="The viewer; terminals run nothing else.")]
Template = Annotated[str, Field(max_length=2000, description="Its arguments, separated by spaces, with %NAME% where a value belongs.")]
Defaults = Annotated[dict[str, str], Field(max_length=64, description="Fills %NAME% where a terminal has no value of its own.")]


class ClassNew(Told):
    """A new class."""

    name: Name
    program: Program
    template: Template
    defaults: Defaults = {}


class ClassChange(Told):
    """Fields of a class; `defaults` are set one by one, `no_defaults` are forgotten."""

    program: Program | None = None
    template: Template | None = None
    defaults: Defaults = {}
    no_defaults: Annotated[list[str], Field(max_length=64)] = []


@noun.get("/classes", Many(CLASS, key=lambda each: each.name), cli="class list")
def list_(ports: Ports, asked: Paged) -> tuple[TerminalClass, ...]:
    """All classes."""
    return classes.everything(ports)


@noun.get("/classes/{terminal_class}", CLASS_VIEW, cli="class show")
def show(ports: Ports, terminal_class: str) -> ClassView:
    """One class: what its template needs, who fills it, and which terminal lacks what."""
    return classes.one(ports, terminal_class)


@noun.post("/classes", CLASS_VIEW, status=HTTPStatus.CREATED, cli="class add")
def add(ports: Ports, told: ClassNew) -> ClassView:
    """A new class."""
    new = TerminalClass(name=told.name, program=told.program, template=told.template, defaults=_pairs(told.defaults))
    return classes.add(ports, new)


@noun.patch("/classes/{terminal_class}", CLASS_VIEW, guarded_by="classes_show", cli="class set")
def change(ports: Ports, terminal_class: str, told: ClassChange) -> ClassView:
    """Change a class; a viewer that runs keeps what it was started with."""
    return classes.change(
        ports,
        terminal_class,
        program=told.program,
        template=told.template,
        defaults=dict(_pairs(told.defaults)),
        no_defaults=tuple(told.no_defaults),
    )


@noun.delete("/classes/{terminal_class}", guarded_by="classes_show", cli="class remove")
def remove(ports: Ports, terminal_class: str) -> None:
    """Remove a class that no terminal has."""
    classes.remove(ports, terminal_class)


def _pairs(told: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(check_parameter(name, value, "defaults") for name, value in told.items()))
