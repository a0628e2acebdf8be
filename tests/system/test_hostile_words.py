# SPDX-License-Identifier: MIT
"""Names that are too long, or look like shell or paths, in every field of every command: refused as wrong use, nothing written.

The commands and their fields are read from the command line itself, so a new field is tested without being named here.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from labvirt.bootstrap import app
from labvirt.cli import words as cli_words
from labvirt.cli.main import MODULES, Root

HOSTILE = ("x" * 300, "$(reboot)", "; rm -rf /", "../../etc/passwd", "a\nb", "a\x1b[2J", "é" * 40, "a b", "")

GOOD = {
    "name": "thing",
    "new_name": "other",
    "lab": "room",
    "network": "10.9.0.0/24",
    "code": "ABCDEF",
    "file": "disk.qcow2",
    "format": "raw",
    "form": "csv",
    "memory_mib": "128",
    "slots": "tiny:virtio",
    "version": "1",
    "recipe": "tiny",
    "program": "xfreerdp",
    "image": "tiny",
    "profile": "tiny",
    "number": "1",
    "text": "words",
    "other": "other",
    "size_bytes": "64M",
    "which": "tiny",
    "run": "room-01.g1",
    "cdrom": "/disc.iso",
    "template": "/v:%ADDRESS%",
    "key": "language",
    "value": "es",
    "said": "thing",
    "url": "http://10.9.0.1:8080/",
    "out": "stick.img",
    "person": "anna",
    "id": "0123456789abcdef",
}
SKIPPED = {"serve", "engine", "web", "demo", "doctor", "image build", "kiosk build", "audit export", "backup", "restore"}
"""They start processes, or write a file of any name; their words are tested where they are started or written."""

PATHS = (cli_words.FILE, cli_words.INSIDE)
"""They may be longer than any name."""
FREE = (cli_words.TEXT, cli_words.INVENTORY)
STRICT = (cli_words.NAME, cli_words.GUEST, cli_words.MAC, cli_words.NETWORK, cli_words.SLOT)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "state"
    assert run(folder, "init", "--hypervisor", "fake") == 0
    assert run(folder, "lab", "add", "room", "--network", "10.9.0.0/24") == 0
    assert run(folder, "terminal", "add", "thing", "--lab", "room") == 0
    assert run(folder, "class", "add", "thing", "--program", "xfreerdp", "--template", "/v:%ADDRESS%") == 0
    return folder


def run(state: Path, *argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        Root(app()).main(["--state", str(state), *argv])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def commands() -> Iterator[tuple[str, click.Command]]:
    root = Root(app())
    with click.Context(root) as context:
        for word in MODULES:
            found = root.get_command(context, word)
            if isinstance(found, click.Group):
                for verb, command in found.commands.items():
                    yield f"{word} {verb}", command
            elif found is not None:
                yield word, found


def fields() -> Iterator[tuple[str, str]]:
    """Command and parameter of everything that takes a word."""
    for name, command in commands():
        if name in SKIPPED:
            continue
        for parameter in command.params:
            flag = isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count)
            # A template is a sentence of its own with rules of its own: tests/cli/test_errors.py, tests/unit/domain/test_answer.py.
            if parameter.name and not flag and parameter.expose_value and parameter.name != "template":
                yield name, parameter.name


def test_many_fields_are_found() -> None:
    found = set(fields())
    assert len(found) > 80
    assert {("lab add", "name"), ("terminal add", "mac"), ("profile add", "slots"), ("guest stop", "how")} <= found


def argv_for(name: str, attacked: str, value: str) -> tuple[list[str], click.Parameter]:
    """The command with good words, and `value` in the attacked field."""
    command = dict(commands())[name]
    options, arguments = [], []
    target = next(p for p in command.params if p.name == attacked)
    for parameter in command.params:
        if not parameter.required and parameter is not target:
            continue
        if not parameter.expose_value:
            continue
        word = value if parameter is target else GOOD[str(parameter.name)]
        if isinstance(parameter, click.Option):
            options.append(f"{max(parameter.opts, key=len)}={word}")
        else:
            arguments.append(word)
    return [*name.split(), *options, "--", *arguments], target


def snapshot(state: Path) -> tuple[list[str], list[str]]:
    with contextlib.closing(sqlite3.connect(state / "labvirt.db")) as database:
        rows = list(database.iterdump())
    files = sorted(str(path.relative_to(state)) for path in state.rglob("*") if not path.name.startswith("labvirt.db"))
    return rows, files


@pytest.mark.parametrize("name,field", sorted(set(fields())), ids=lambda word: word.replace(" ", "-"))
def test_hostile_words_are_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, field: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = snapshot(state)
    for value in HOSTILE:
        argv, parameter = argv_for(name, field, value)
        code = run(state, *argv)
        told = capfd.readouterr()
        assert "mistake in LabVirt" not in told.err, (argv, told.err)
        if code == 0:
            # Free text and ids may be any short printable line (ids: one word); whoever shows them later escapes them.
            assert parameter.type in FREE, (argv, told)
            assert value.isprintable()
            assert len(value) <= 200
            before = snapshot(state)
            continue
        strict = parameter.type in STRICT or isinstance(parameter.type, click.Choice | click.types.IntParamType | click.IntRange)
        too_long = len(value) == 300 and not isinstance(parameter.type, click.Path) and parameter.type not in PATHS
        assert code == 2 if strict or too_long else code in (1, 2), (argv, code, told.err)
        assert told.err.startswith("labvirt: "), told.err
        assert len(told.err) < 1200
        assert "\x1b" not in told.err
    assert snapshot(state) == before
    assert list(tmp_path.iterdir()) == []
