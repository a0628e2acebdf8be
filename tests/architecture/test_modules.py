# SPDX-License-Identifier: MIT
"""Each module says its licence and what lives in it, and is called by a noun of the lab; none waits by sleeping."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
NO_NOUNS = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc", "base"}


def complaints(path: Path, text: str) -> list[str]:
    found = []
    if "SPDX-License-Identifier: MIT" not in "\n".join(text.splitlines()[:2]):
        found.append("the first line (or the one after #!) should be: # SPDX-License-Identifier: MIT")
    if not ast.get_docstring(ast.parse(text, str(path))):
        found.append("a docstring should say what lives here and what does not")
    if path.stem in NO_NOUNS or path.parent.name in NO_NOUNS:
        found.append("a function without a home is a missing noun: call the module by it")
    return [f"{path}: {complaint}" for complaint in found]


def test_every_module_introduces_itself() -> None:
    modules = [path for folder in ("labvirt", "kiosk", "images", "dhcp") for path in sorted((ROOT / folder).rglob("*.py"))]
    assert modules
    found = [line for path in modules for line in complaints(path.relative_to(ROOT), path.read_text())]
    assert not found, "\n" + "\n".join(found)


def test_a_nameless_module_is_noticed() -> None:
    assert len(complaints(Path("labvirt/disks/utils.py"), "import os\n")) == 3
    assert complaints(Path("labvirt/disks/seal.py"), '# SPDX-License-Identifier: MIT\n"""Seals versions."""\n') == []


def sleeps(text: str) -> list[int]:
    """The lines that block a thread for a fixed time."""
    found = []
    for node in ast.walk(ast.parse(text)):
        called = isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name) and node.value.id == "time"
        fetched = isinstance(node, ast.ImportFrom) and node.module == "time" and any(each.name == "sleep" for each in node.names)
        if called or fetched:
            found.append(node.lineno)
    return found


def test_nothing_waits_by_sleeping() -> None:
    """Waits end with what they wait for, or with their deadline."""
    modules = sorted((ROOT / "labvirt").rglob("*.py"))
    assert [f"{path.relative_to(ROOT)}:{line}" for path in modules for line in sleeps(path.read_text())] == []
    assert sleeps("import time\ntime.sleep(5)\n") == [2]
    assert sleeps("from time import monotonic, sleep\n") == [1]
