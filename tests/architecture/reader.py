# SPDX-License-Identifier: MIT
"""Reads a source tree and returns the broken laws of house.py, each as `file:line: sentence`.

It looks at the syntax only and imports nothing of what it judges. An import counts wherever it stands: in a function,
and under TYPE_CHECKING too, because a name one may not know is not known for its type either.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.house import (
    BUILDER,
    CONTRACTS_USE,
    DOOR_CALLS,
    DOORS,
    PURE_WITHOUT,
    PURE_WITHOUT_CALLS,
    ROOMS,
)


def broken_laws(package: Path) -> list[str]:
    """Every broken law in the tree of `package`, the folder labvirt/ or a copy of its shape."""
    return [
        f"{path.relative_to(package.parent)}:{line}: {law}"
        for path in sorted(package.rglob("*.py"))
        for line, law in sorted(set(_judge(path.relative_to(package), ast.parse(path.read_bytes(), str(path)))))
    ]


def _judge(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    room = path.parts[0].removesuffix(".py")
    if room != BUILDER and room != "__init__" and room not in ROOMS:
        yield (
            1,
            f"the room {room} is not in the import map; add it to tests/architecture/house.py and docs/architecture.md",
        )
        return
    for line, module in imports(("labvirt", *path.parts[:-1]), tree):
        law = _foreign(room, module) if module[0] != "labvirt" else _neighbour(room, module)
        if law:
            yield line, law
    for line, call in _calls(tree):
        if room not in DOOR_CALLS.get(call, {room}):
            yield line, f"{room} calls {call}; processes are started by labvirt/system"
        if room == "domain" and (call in PURE_WITHOUT_CALLS or ".".join(call.split(".")[-2:]) in PURE_WITHOUT_CALLS):
            yield line, f"domain calls {call}; it has no clock and no files: take the value as a parameter"


def _neighbour(room: str, module: tuple[str, ...]) -> str | None:
    other = module[1] if len(module) > 1 else "__init__"
    if room == BUILDER or other in {room, "__init__"} or other in ROOMS.get(room, frozenset()):
        return None
    if other == BUILDER:
        return f"{room} imports {BUILDER}; only labvirt/__main__.py does, everybody else is handed what it needs"
    return f"{room} imports {other}; it may know: {', '.join(sorted(ROOMS.get(room, ()))) or 'nobody'}"


def _foreign(room: str, module: tuple[str, ...]) -> str | None:
    name = module[0]
    standard = name in sys.stdlib_module_names
    if not standard and name not in DOORS:
        return f"{room} imports {name}, a package without a line in DOORS (tests/architecture/house.py)"
    if room not in DOORS.get(name, {room}):
        return f"{room} imports {name}; that door belongs to {', '.join(sorted(DOORS[name]))}"
    if room == "domain" and name in PURE_WITHOUT:
        return f"domain imports {name}; it has no I/O, no clock and no threads"
    if room == "contracts" and name not in CONTRACTS_USE:
        return f"contracts imports {name}; contracts are types only"
    return None


def imports(here: tuple[str, ...], tree: ast.Module) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and absolute dotted name (as a tuple) of all that is imported by a module of the package `here`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) + 1 - node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                # Only after `from labvirt import` the second half is a room; else it is a module's own name.
                yield (
                    node.lineno,
                    (*base, alias.name) if base == ("labvirt",) and not alias.name.startswith("__") else base,
                )
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if called in {"importlib.import_module", "import_module", "__import__"}:
                yield node.lineno, tuple(str(node.args[0].value).split("."))


def _calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            yield node.lineno, ast.unparse(node.func)
