# SPDX-License-Identifier: MIT
"""labvirt settings ..."""

from __future__ import annotations

from typing import Any

import click

from labvirt import shapes
from labvirt.cli import words
from labvirt.cli.session import Noun, Session, pass_session
from labvirt.domain.setting import SETTINGS
from labvirt.usecases import settings as cascade
from labvirt.usecases.settings import Level, SettingsView


@click.group(cls=Noun)
def settings() -> None:
    """What terminals show and what their people may do: site < lab < class < terminal.

    Without --lab, --class or --terminal the whole site is meant.
    """


def _level(command: Any) -> Any:
    for option in reversed(
        (
            click.option("--lab", type=words.NAME, help="Of this lab."),
            click.option("--class", "terminal_class", type=words.NAME, help="Of this terminal class."),
            click.option("--terminal", type=words.NAME, help="Of this terminal."),
        )
    ):
        command = option(command)
    return command


def _told(session: Session, /, view: SettingsView) -> None:
    session.table(
        shapes.settings(view),
        ("KEY", "VALUE", "FROM", "WHAT"),
        ((each.setting.key, each.value, each.origin, each.setting.sentence) for each in view.effective),
        empty="There is no setting.",
    )


def _changed(session: Session, /, view: SettingsView, key: str) -> None:
    now = next(each for each in view.effective if each.setting.key == key)
    session.show(shapes.settings(view), [f"{key} is {now.value} for {view.level} (from: {now.origin})."])


def _meant(lab: str | None, terminal_class: str | None, terminal: str | None) -> Level:
    return cascade.level_of(lab=lab, terminal_class=terminal_class, terminal=terminal)


@settings.command("show")
@_level
@pass_session
def show_settings(session: Session, /, lab: str | None, terminal_class: str | None, terminal: str | None) -> None:
    """What counts there, and where each value comes from."""
    with session.ports() as ports:
        found = cascade.show(ports, _meant(lab, terminal_class, terminal))
    _told(session, found)


@settings.command("set")
@click.argument("key", type=words.SETTING)
@click.argument("value", type=words.TEXT)
@_level
@pass_session
def set_setting(session: Session, /, key: str, value: str, lab: str | None, terminal_class: str | None, terminal: str | None) -> None:
    """Set one. Language and keyboard change at once, the rest at the next start of a viewer.

    \b
    labvirt settings set --lab lab-a language es
    labvirt settings set --terminal lab-a-t07 screens two-extend
    labvirt settings set allow restart-guest,power
    """
    with session.ports() as ports:
        found = cascade.change(ports, _meant(lab, terminal_class, terminal), key, value)
    _changed(session, found, key)


@settings.command("unset")
@click.argument("key", type=words.SETTING)
@_level
@pass_session
def unset_setting(session: Session, /, key: str, lab: str | None, terminal_class: str | None, terminal: str | None) -> None:
    """Forget one at this level: what counts comes from a weaker one then."""
    with session.ports() as ports:
        found = cascade.unset(ports, _meant(lab, terminal_class, terminal), key)
    _changed(session, found, key)


@settings.command("keys")
@pass_session
def list_keys(session: Session, /) -> None:
    """Every setting: what it means, what it may be, and its default."""
    session.table(
        [{"key": each.key, "default": each.default, "allowed": each.allowed, "what": each.sentence} for each in SETTINGS.values()],
        ("KEY", "DEFAULT", "ALLOWED", "WHAT"),
        ((each.key, each.default, each.allowed, each.sentence) for each in SETTINGS.values()),
        empty="There is no setting.",
    )
