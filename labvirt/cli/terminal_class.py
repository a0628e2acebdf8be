# SPDX-License-Identifier: MIT
"""labvirt class ..."""

from __future__ import annotations

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.terminal_class import TerminalClass
from labvirt.usecases import classes
from labvirt.usecases.classes import ClassView


@click.group("class", cls=Noun)
def class_() -> None:
    """Terminal classes: which viewer a kind of terminal runs, and with which arguments."""


def _percent(names: tuple[str, ...]) -> str:
    return " ".join(f"%{name}%" for name in names) or "nothing"


def _lines(each: ClassView) -> list[str]:
    one = each.terminal_class
    return [
        f"{one.name}: {one.program} {one.template}".rstrip(),
        f"  needs {_percent(one.variables)}",
        f"  LabVirt fills {_percent(each.by_labvirt)}; the terminal itself {_percent(each.by_terminal)}",
        *(f"  default {name}={value}" for name, value in one.defaults),
        f"  a terminal must have {_percent(one.required)}",
        f"  terminals: {' '.join(each.terminals) or 'none'}",
        *(f"  missing: {gap.terminal} has no %{gap.parameter}%. {gap.mend}" for gap in each.missing),
    ]


@class_.command("list")
@pass_session
def list_classes(session: Session) -> None:
    """All classes."""
    with session.ports() as ports:
        found = classes.everything(ports)
    session.table(
        [shapes.terminal_class(each) for each in found],
        ("NAME", "PROGRAM", "ARGUMENTS", "DEFAULTS"),
        ((c.name, c.program, c.template, " ".join(f"{name}={value}" for name, value in c.defaults)) for c in found),
        empty="There is no class. See how to add one: labvirt class add --help",
    )


@class_.command("show")
@click.argument("name", type=words.NAME)
@pass_session
def show_class(session: Session, /, name: str) -> None:
    """One class: what its template needs, who fills it, and which terminal lacks what."""
    with session.ports() as ports:
        found = classes.one(ports, name)
    session.show(shapes.class_view(found), _lines(found))


@class_.command("add")
@click.argument("name", type=words.NAME)
@click.option("--program", type=words.PROGRAM, required=True, help="The viewer; terminals run nothing else.")
@click.option("--template", required=True, help="Its arguments, separated by spaces, with %NAME% where a value belongs.")
@click.option("--default", "defaults", type=words.PARAMETER, multiple=True, help="Fills %NAME% where a terminal has no value of its own.")
@pass_session
def add_class(session: Session, /, name: str, program: str, template: str, defaults: tuple[tuple[str, str], ...]) -> None:
    """A new class."""
    new = TerminalClass(name=name, program=program, template=template, defaults=defaults)
    with session.ports() as ports:
        added = classes.add(ports, new)
    session.show(shapes.class_view(added), _lines(added))


@class_.command("set")
@click.argument("name", type=words.NAME)
@click.option("--program", type=words.PROGRAM, help="The viewer; terminals run nothing else.")
@click.option("--template", help="All its arguments anew.")
@click.option("--default", "defaults", type=words.PARAMETER, multiple=True, help="Set one default.")
@click.option("--no-default", "dropped", multiple=True, metavar="NAME", help="Forget one default.")
@pass_session
def set_class(
    session: Session,
    /,
    name: str,
    program: str | None,
    template: str | None,
    defaults: tuple[tuple[str, str], ...],
    dropped: tuple[str, ...],
) -> None:
    """Change a class; a viewer that runs keeps what it was started with."""
    with session.ports() as ports:
        changed = classes.change(ports, name, program=program, template=template, defaults=dict(defaults), no_defaults=dropped)
    session.show(shapes.class_view(changed), _lines(changed))


@class_.command("remove")
@click.argument("name", type=words.NAME)
@pass_session
def remove_class(session: Session, /, name: str) -> None:
    """Remove a class that no terminal has."""
    with session.ports() as ports:
        gone = classes.remove(ports, name)
    session.show({"removed": gone.name}, [f"{gone.name} is removed."])
