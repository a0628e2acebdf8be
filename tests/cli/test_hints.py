# SPDX-License-Identifier: MIT
"""Every command that a sentence, a hint or a page tells people to type exists, with its options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from labvirt.cli.main import Root
from labvirt.errors import NotFound
from tests.cli.conftest import Line

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"\blabvirt((?: [a-z][a-z-]*| --?[a-z0-9-]+| [A-Z{}<][\w{}.:<>\[\]-]*)+)")


def texts(path: Path) -> Iterator[str]:
    """The strings of a module; what is computed in one is a word in capitals."""
    tree = ast.parse(path.read_text())
    whole = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "NAME" for part in node.values)
            whole.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in whole:
            yield node.value


def wrong(root: click.Group, words: list[str]) -> str:
    """Why these words are no command; empty when they may be one."""
    command: click.Command = root
    rest = list(words)
    while rest and isinstance(command, click.Group) and re.match(r"[a-z]", rest[0]):
        found = command.get_command(click.Context(command), rest[0])
        if found is None:
            return f"there is no {rest[0]!r}" if command is not root or rest[0] in NOUNS else ""
        command = found
        rest = rest[1:]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    missing = [word for word in rest if word.startswith("--") and word != "--help" and word not in known]
    return f"it has no {missing[0]}" if missing else ""


NOUNS = {
    "image",
    "version",
    "profile",
    "template",
    "pool",
    "doctor",
    "admin",
    "rescue",
    "job",
    "guest",
    "console",
    "host",
    "lab",
    "terminal",
    "class",
    "kiosk",
    "settings",
    "person",
    "group",
    "token",
    "audit",
}


@pytest.mark.parametrize("folder", ["labvirt", "docs"])
def test_commands_that_are_named_exist(bare: Line, folder: str) -> None:
    root = Root(bare.app())
    assert wrong(root, ["image", "frobnicate"])  # positive controls
    assert wrong(root, ["image", "import", "--frobnicate"])
    assert not wrong(root, ["image", "import", "NAME", "--format"])
    bad = []
    seen = 0
    pages = [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.md"), *([ROOT / "README.md"] if folder == "docs" else [])]
    for path in sorted(pages):
        for text in texts(path) if path.suffix == ".py" else [path.read_text()]:
            for match in COMMAND.finditer(text):
                words = match[1].split()
                seen += 1
                if why := wrong(root, words):
                    bad.append(f"{path.relative_to(ROOT)}: labvirt {' '.join(words)}: {why}")
    assert seen > 50
    assert bad == []


def test_what_is_not_found_is_listed_by_a_command_that_exists(bare: Line) -> None:
    root = Root(bare.app())
    modules = [path.read_text() for path in sorted((ROOT / "labvirt").rglob("*.py"))]
    nouns = sorted({match[1] for text in modules for match in re.finditer(r'NotFound\(\s*"([^"]+)"', text)})
    assert len(nouns) > 15
    hints = {noun: NotFound(noun, "x").hint for noun in nouns}
    named = {noun: match for noun, hint in hints.items() if (match := COMMAND.search(hint))}
    assert set(nouns) - set(named) == {"upload", "room"}  # those are listed over HTTP
    words = {noun: match[1].split() for noun, match in named.items()}
    assert [noun for noun, each in words.items() if each[0] not in NOUNS or wrong(root, each)] == []
