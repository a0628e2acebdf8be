# SPDX-License-Identifier: MIT
"""Settings of terminals: shown with where each comes from, set and unset by an administrator at one of four levels."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.contracts.database import UnitOfWork
from labvirt.domain import setting
from labvirt.domain.right import Right
from labvirt.domain.setting import Effective, Scope, SettingValue
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput
from labvirt.usecases import whose
from labvirt.usecases.ports import Ports
from labvirt.usecases.rights import needs, visible


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Whose settings are meant: the site's (no subject), or those of one lab, class or terminal."""

    scope: Scope = Scope.SITE
    subject: str = ""

    def __str__(self) -> str:
        return "the site" if self.scope is Scope.SITE else f"the {self.scope} {self.subject}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsView:
    """What counts at a level, and which keys are set at this very level."""

    level: Level
    effective: tuple[Effective, ...]
    own: frozenset[str]


def level_of(*, lab: str | None = None, terminal_class: str | None = None, terminal: str | None = None) -> Level:
    """The level that these names mean; none of them: the site. Raises InvalidInput for more than one."""
    named = [
        (scope, name) for scope, name in ((Scope.LAB, lab), (Scope.CLASS, terminal_class), (Scope.TERMINAL, terminal)) if name is not None
    ]
    if len(named) > 1:
        raise InvalidInput("level", "can only be one of lab, class and terminal", hint="Without any of them it is the whole site.")
    return Level(scope=named[0][0], subject=named[0][1]) if named else Level()


@needs(Right.LOOK, each=True)
def levels(ports: Ports) -> tuple[Level, ...]:
    """Every level there is: the site, labs, classes, terminals, each by name."""
    with ports.database.read() as work:
        found = (
            Level(),
            *(Level(scope=Scope.LAB, subject=each.name) for each in work.labs.list()),
            *(Level(scope=Scope.CLASS, subject=each.name) for each in work.classes.list()),
            *(Level(scope=Scope.TERMINAL, subject=each.name) for each in work.terminals.list()),
        )
        return visible(ports, found, lambda level: whose.level(work, level))


@needs(Right.LOOK, level="level")
def show(ports: Ports, level: Level) -> SettingsView:
    """What counts there: for a lab the site's and its own, for a class likewise, for a terminal all four levels. Raises NotFound."""
    with ports.database.read() as work:
        return _view(work, level)


@needs(Right.SEATS, level="level")
def change(ports: Ports, level: Level, key: str, value: str) -> SettingsView:
    """The key is set at this level. Raises NotFound, InvalidInput (names the key, the reason, what is allowed)."""
    with ports.database.write() as work:
        there = _there(work, level)
        checked = setting.check(key, value)
        before = _own(work, level, key)
        work.settings.put(SettingValue(scope=level.scope, subject=level.subject, key=key, value=checked))
        ports.note(
            work,
            level.subject or "site",
            f"setting {key} = {checked} ({level.scope})",
            verb="set",
            noun=str(level.scope),
            lab=_lab(level, there),
            before=before,
            after={key: checked},
        )
        view = _view(work, level)
        work.commit()
    return view


@needs(Right.SEATS, level="level")
def unset(ports: Ports, level: Level, key: str) -> SettingsView:
    """The key is not set at this level: what counts comes from a weaker one. Raises NotFound, InvalidInput (no such setting, or not set
    there)."""
    with ports.database.write() as work:
        there = _there(work, level)
        before = _own(work, level, key)
        if key not in setting.SETTINGS:
            setting.check(key, "")
        if not work.settings.remove(level.scope, level.subject, key):
            raise InvalidInput("key", f"{key} is not set for {level}", hint="See where it comes from: labvirt settings show")
        ports.note(
            work,
            level.subject or "site",
            f"setting {key} unset ({level.scope})",
            verb="unset",
            noun=str(level.scope),
            lab=_lab(level, there),
            before=before,
        )
        view = _view(work, level)
        work.commit()
    return view


def of_terminal(work: UnitOfWork, terminal: Terminal) -> tuple[Effective, ...]:
    """What counts for this terminal, in this unit of work."""
    return setting.cascade(
        (
            *work.settings.of(Scope.SITE),
            *work.settings.of(Scope.LAB, terminal.lab),
            *work.settings.of(Scope.CLASS, terminal.terminal_class),
            *work.settings.of(Scope.TERMINAL, terminal.name),
        )
    )


def allowed(effective: tuple[Effective, ...]) -> tuple[str, ...]:
    """What the person at such a terminal may do."""
    return next(setting.words_of(each.value) for each in effective if each.setting.key == "allow")


def _view(work: UnitOfWork, level: Level) -> SettingsView:
    terminal = _there(work, level)
    own = work.settings.of(level.scope, level.subject)
    effective = of_terminal(work, terminal) if terminal is not None else setting.cascade((*work.settings.of(Scope.SITE), *own))
    return SettingsView(level=level, effective=effective, own=frozenset(each.key for each in own))


def _own(work: UnitOfWork, level: Level, key: str) -> dict[str, str]:
    """The key as it is set at this very level."""
    return {each.key: each.value for each in work.settings.of(level.scope, level.subject) if each.key == key}


def _lab(level: Level, there: Terminal | None) -> str | None:
    """The lab whose settings they are, for the audit."""
    if there is not None:
        return there.lab
    return level.subject if level.scope is Scope.LAB else None


def _there(work: UnitOfWork, level: Level) -> Terminal | None:
    """The terminal of this level, if it is one. Raises NotFound when the level is of nobody."""
    if level.scope is Scope.LAB:
        work.labs.one(level.subject)
    elif level.scope is Scope.CLASS:
        work.classes.one(level.subject)
    elif level.scope is Scope.TERMINAL:
        return work.terminals.one(level.subject)
    return None
