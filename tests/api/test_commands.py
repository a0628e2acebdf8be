# SPDX-License-Identifier: MIT
"""Everything the command line can do the API can do, or it is said why not."""

from __future__ import annotations

from collections.abc import Iterator

import click

from labvirt.bootstrap import app
from labvirt.cli.main import Root
from labvirt.cli.shell_only import REASONS
from labvirt.web.api.blueprint import NOUNS
from labvirt.web.api.described import ELSEWHERE


def verbs(group: click.Group, words: str = "") -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        inner = f"{words} {name}".strip()
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield inner
            yield from verbs(command, inner)
        else:
            yield inner


def told() -> set[str]:
    """Every command that an operation names."""
    own = {words for noun in NOUNS for each in noun.operations for words in each.cli}
    others = {
        words.removeprefix("labvirt ")
        for methods in ELSEWHERE.values()
        for each in methods.values()
        if isinstance(each, dict)
        for words in each.get("x-labvirt-command", ())
    }
    return own | others


def complaints(commands: set[str], named: set[str]) -> list[str]:
    forgotten = [f"{each}: no operation, and no reason why not" for each in sorted(commands - named - REASONS.keys())]
    gone = [f"{each}: there is no such command" for each in sorted((named | REASONS.keys()) - commands)]
    return [*forgotten, *gone, *(f"{each}: an operation and a reason why not" for each in sorted(named & REASONS.keys()))]


def test_every_command_has_an_operation_or_a_reason() -> None:
    commands = set(verbs(Root(app())))
    assert len(commands) > 90
    assert complaints(commands, told()) == []


def test_a_new_command_is_noticed() -> None:
    commands = set(verbs(Root(app())))
    assert complaints(commands | {"lab paint"}, told()) == ["lab paint: no operation, and no reason why not"]
    assert complaints(commands, told() | {"lab paint"}) == ["lab paint: there is no such command"]


def test_names_of_operations_are_unique() -> None:
    ids = [each.id for noun in NOUNS for each in noun.operations]
    assert len(ids) == len(set(ids))
    routes = [(each.method, each.path) for noun in NOUNS for each in noun.operations]
    assert len(routes) == len(set(routes))
