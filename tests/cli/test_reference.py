# SPDX-License-Identifier: MIT
"""docs/reference/command-line.md names every command, option and key; nothing else stands there as if it existed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from labvirt.cli.main import MODULES, Root
from tests.cli.conftest import Line

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield f"{path} {name}", found
        if isinstance(found, click.Group):
            yield from commands(found, f"{path} {name}")


def test_every_command_and_option_is_on_the_page(bare: Line) -> None:
    page = PAGE.read_text()
    missing = []
    for path, command in commands(Root(bare.app()), "labvirt"):
        section = re.search(rf"^#+ `{re.escape(path)}`.*?(?=^#+ |\Z)", page, re.MULTILINE | re.DOTALL)
        if section is None:
            missing.append(path)
            continue
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name not in ("state_option", "state", "as_json"):
                missing += [f"{path} {word}" for word in (*parameter.opts, *parameter.secondary_opts) if f"`{word}" not in section[0]]
    assert missing == []
    assert "`--state" in page
    assert "`--json" in page


def test_no_command_is_on_the_page_that_does_not_exist(bare: Line) -> None:
    known = {path for path, _ in commands(Root(bare.app()), "labvirt")}
    assert set(re.findall(r"^#+ `(labvirt [^`]+)`", PAGE.read_text(), re.MULTILINE)) <= known
    assert len(known) > 50


def test_every_key_that_is_printed_is_on_the_page(line: Line) -> None:
    page = PAGE.read_text()
    line.json("guest", "start", "pc-01")
    line.json("terminal", "add", "pc-02", "--lab", "lab-a", "--class", "rdp")  # lacks %USER%

    def keys(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, each in value.items():
                yield key
                yield from keys(each)
        elif isinstance(value, list):
            for each in value:
                yield from keys(each)

    for words in (
        ["lab", "list"],
        ["terminal", "list"],
        ["class", "list"],
        ["class", "show", "rdp"],
        ["profile", "list"],
        ["image", "list"],
        ["guest", "list"],
        ["host", "show"],
        ["guest", "explain", "pc-01"],
        ["overview"],
        ["history"],
        ["verify"],
        ["version"],
        ["code"],
    ):
        assert {key for key in keys(line.json(*words)) if f"`{key}`" not in page} == set(), words


def test_every_command_has_its_module_and_help(bare: Line) -> None:
    for name in MODULES:
        result = bare.run(name, "--help")
        assert result.exit_code == 0
        assert "--state" in result.stdout
    assert bare.run("--help").stdout.count("\n") > 15
