# SPDX-License-Identifier: MIT
"""Terminal classes: which program a kind of terminal runs and with what, made, changed and removed by an
administrator; and which terminals of a class lack a parameter that its template needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from labvirt.contracts.database import UnitOfWork
from labvirt.domain import audit
from labvirt.domain.answer import values_of
from labvirt.domain.right import Right
from labvirt.domain.setting import Scope
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import KNOWN, LOCAL, TerminalClass
from labvirt.errors import InvalidInput
from labvirt.usecases import asking
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A parameter that nobody fills for this terminal: it would hear that it is not set up completely."""

    terminal: str
    parameter: str
    mend: str
    """The command that fills it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassView:
    """A class, the terminals that have it, and what they lack."""

    terminal_class: TerminalClass
    terminals: tuple[str, ...]
    missing: tuple[Missing, ...]

    @property
    def by_labvirt(self) -> tuple[str, ...]:
        """The names of the template that LabVirt fills in."""
        return tuple(name for name in self.terminal_class.variables if name in KNOWN)

    @property
    def by_terminal(self) -> tuple[str, ...]:
        """The names of the template that the terminal's own kiosk fills in."""
        return tuple(name for name in self.terminal_class.variables if name in LOCAL)


@needs(Right.LOOK, anywhere=True)
def everything(ports: Ports) -> tuple[TerminalClass, ...]:
    with ports.database.read() as work:
        return work.classes.list()


@needs(Right.LOOK, anywhere=True)
def one(ports: Ports, name: str) -> ClassView:
    """Raises NotFound."""
    with ports.database.read() as work:
        return _view(work, work.classes.one(name))


@needs(Right.SITE, site=True)
def add(ports: Ports, terminal_class: TerminalClass) -> ClassView:
    """A new class, which no terminal has yet. Raises AlreadyExists."""
    with ports.database.write() as work:
        terminal_class = replace(terminal_class, defaults=_sorted(dict(terminal_class.defaults)))
        work.classes.add(terminal_class)
        ports.note(
            work,
            terminal_class.name,
            f"class added with the program {terminal_class.program}",
            verb="add",
            noun="class",
            after=audit.told(terminal_class),
        )
        view = _view(work, terminal_class)
        work.commit()
    ports.poke()
    return view


@needs(Right.SITE, site=True)
def change(
    ports: Ports,
    name: str,
    *,
    program: str | None = None,
    template: str | None = None,
    defaults: Mapping[str, str] | None = None,
    no_defaults: Collection[str] = (),
) -> ClassView:
    """The class with these parts replaced; `defaults` are set one by one, `no_defaults` forgotten. A viewer that runs
    keeps what it was started with.

    Raises NotFound, and InvalidInput when a terminal would refuse the outcome. A terminal that lacks a parameter
    afterwards is no error: it is named in what is given back.
    """
    with ports.database.write() as work:
        old = work.classes.one(name)
        kept = dict(old.defaults)
        if strange := sorted(set(no_defaults) - kept.keys()):
            raise InvalidInput("no_default", f"{name} has no default {strange[0][:32]!r}", hint=f"Look: labvirt class show {name}")
        new = replace(
            old,
            program=old.program if program is None else program,
            template=old.template if template is None else template,
            defaults=_sorted({key: kept[key] for key in kept if key not in no_defaults} | dict(defaults or {})),
        )
        for terminal in _terminals(work, name):
            _check_with(new, terminal)
        work.classes.update(new)
        changed = [field for field in ("defaults", "program", "template") if getattr(old, field) != getattr(new, field)]
        before, after = audit.changed(old, new)
        ports.note(work, name, f"class changed: {', '.join(changed) or 'nothing'}", verb="change", noun="class", before=before, after=after)
        view = _view(work, new)
        work.commit()
    ports.poke()
    return view


@needs(Right.SITE, site=True)
def remove(ports: Ports, name: str) -> TerminalClass:
    """The class is gone. Raises NotFound, InUse (the terminal that has it)."""
    with ports.database.write() as work:
        gone = work.classes.one(name)
        work.classes.remove(name)
        work.settings.remove(Scope.CLASS, name)
        ports.note(work, name, "class removed", verb="remove", noun="class", before=audit.told(gone))
        work.commit()
    ports.poke()
    return gone


def _view(work: UnitOfWork, terminal_class: TerminalClass) -> ClassView:
    users = _terminals(work, terminal_class.name)
    missing = tuple(each for terminal in users for each in _missing(work, terminal_class, terminal))
    return ClassView(terminal_class=terminal_class, terminals=tuple(each.name for each in users), missing=missing)


def _terminals(work: UnitOfWork, name: str) -> tuple[Terminal, ...]:
    return tuple(each for each in work.terminals.list() if each.terminal_class == name)


def _missing(work: UnitOfWork, terminal_class: TerminalClass, terminal: Terminal) -> tuple[Missing, ...]:
    seen = asking.look(work, terminal)
    # Without a profile that can be started nobody knows whether there will be a USER: that is said elsewhere.
    known = KNOWN if seen.profile is None else values_of(terminal, seen.lab, seen.profile).keys()
    told = []
    for name in terminal_class.missing(known, dict(terminal.parameters)):
        mend = f"labvirt terminal set {terminal.name} --parameter {name}=VALUE"
        if name in KNOWN and seen.profile is not None:
            mend = f"labvirt profile set {seen.profile.name} --user ACCOUNT"
        told.append(Missing(terminal=terminal.name, parameter=name, mend=mend))
    return tuple(told)


def _check_with(terminal_class: TerminalClass, terminal: Terminal) -> None:
    try:
        terminal_class.check_own(dict(terminal.parameters))
    except InvalidInput as error:
        raise InvalidInput(
            "template", f"with the parameters of {terminal.name} {error.reason}", hint=f"Look: labvirt terminal show {terminal.name}"
        ) from error


def _sorted(defaults: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(defaults.items()))
