# SPDX-License-Identifier: MIT
"""Nobody in labvirt/ knows more than the house plan allows, and the judge itself is tried with planted offences."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture.house import DOORS, ROOMS
from tests.architecture.reader import broken_laws, imports

ROOT = Path(__file__).parents[2]


def test_every_room_keeps_the_import_map() -> None:
    assert (ROOT / "labvirt" / "errors.py").exists()
    laws = broken_laws(ROOT / "labvirt")
    assert not laws, "\n" + "\n".join(laws)


def plant(tmp_path: Path, path: str, source: str) -> list[str]:
    """What the judge says about a tree with this one file."""
    file = tmp_path / "labvirt" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    return broken_laws(tmp_path / "labvirt")


@pytest.mark.parametrize(
    "path, offence, allowed",
    [
        ("errors.py", "import labvirt.domain", "import enum"),
        ("domain/lab.py", "from labvirt.contracts import disks", "from labvirt.errors import InvalidInput"),
        ("domain/lab.py", "import os.path", "import ipaddress"),
        ("domain/lab.py", "from time import monotonic", "from datetime import datetime"),
        ("domain/lab.py", "import pydantic", "import dataclasses"),
        ("domain/lab.py", "x = datetime.datetime.now()", "x = later(now)"),
        ("contracts/clock.py", "import time", "from pathlib import Path"),
        ("contracts/disks.py", "from labvirt.system import process", "from labvirt.domain import image"),
        ("system/process.py", "from labvirt.domain import guest", "import subprocess, fcntl, ctypes"),
        ("hypervisors/qemu/driver.py", "from labvirt.network import tap", "from labvirt.system import process"),
        ("hypervisors/qemu/driver.py", "from ...disks import qcow2", "from .command import render"),
        ("hypervisors/qemu/driver.py", "import subprocess", "from qemu.qmp import QMPClient"),
        ("hypervisors/qemu/driver.py", "import asyncio\nasyncio.create_subprocess_exec('x')", "import asyncio"),
        ("disks/qcow2.py", "import libvirt", "import hashlib"),
        ("disks/qcow2.py", "import os\nos.system('x')", "import os\nos.fsync(3)"),
        ("network/tap.py", "import fcntl", "from pyroute2 import IPRoute"),
        ("network/dns/zone.py", "from labvirt import disks", "import dns.update"),
        ("database/rows.py", "from labvirt import usecases", "from sqlalchemy.orm import Session"),
        ("usecases/power.py", "from labvirt.hypervisors import fake", "from labvirt.contracts import hypervisor"),
        ("usecases/power.py", "import sqlalchemy", "import logging"),
        ("engine/loop.py", "from labvirt.link import server", "from labvirt.usecases import power"),
        ("link/server.py", "from labvirt.engine import loop", "from labvirt.contracts import engine"),
        ("config.py", "from labvirt import system", "import pydantic_settings"),
        ("web/app.py", "from labvirt.link import client", "from labvirt import usecases"),
        ("web/app.py", "from labvirt.database import rows", "import flask, uvicorn, a2wsgi"),
        ("web/app.py", "def f():\n    import labvirt.engine", "def f():\n    import labvirt.doctor"),
        ("cli/guest.py", "from labvirt import bootstrap", "import click, rich.table"),
        ("cli/guest.py", "import flask", "from labvirt import config"),
        ("cli/guest.py", "import importlib\nimportlib.import_module('labvirt.web')", "import importlib"),
        (
            "demo/run.py",
            "if TYPE_CHECKING:\n    from labvirt.usecases import power",
            "from labvirt.system import process",
        ),
        ("demo/run.py", "import click", "import rich.live"),
        ("__main__.py", "from labvirt.cli import main", "from labvirt.bootstrap import main"),
        ("web/app.py", "import requests", "from labvirt import __version__"),
        ("managers/all.py", "", None),
    ],
)
def test_a_planted_offence_is_found_and_its_lawful_neighbour_is_not(tmp_path: Path, path: str, offence: str, allowed: str | None) -> None:
    found = plant(tmp_path, path, f"# first line\n{offence}\n")
    assert len(found) == 1
    assert found[0].startswith(f"labvirt/{path}:")
    if allowed is not None:
        assert plant(tmp_path, path, f"# first line\n{allowed}\n") == []


def test_an_offence_is_reported_with_its_line(tmp_path: Path) -> None:
    assert plant(tmp_path, "disks/seal.py", "import os\n\nimport libvirt\n") == [
        "labvirt/disks/seal.py:3: disks imports libvirt; that door belongs to hypervisors"
    ]


def test_bootstrap_may_know_every_room_but_opens_no_foreign_door(tmp_path: Path) -> None:
    everybody = "\n".join(f"from labvirt import {room}" for room in ROOMS if room != "__main__")
    assert plant(tmp_path, "bootstrap.py", everybody) == []
    assert len(plant(tmp_path, "bootstrap.py", "import flask")) == 1


def test_the_map_names_only_rooms_it_knows_and_has_no_circle() -> None:
    rooms = set(ROOMS) | {"bootstrap"}
    assert {known for knows in ROOMS.values() for known in knows} <= rooms
    assert {owner for owners in DOORS.values() for owner in owners} <= rooms
    settled: set[str] = {"bootstrap"}
    while ready := {room for room, knows in ROOMS.items() if room not in settled and knows <= settled}:
        settled |= ready
    assert settled == rooms


def test_the_kiosk_and_the_recipes_need_nothing_but_pythons_standard_library() -> None:
    """A terminal, and a bare Debian that builds an image, have nothing else. strip.py is none of them: it reads pictures."""
    folders = ("kiosk", "images/labvirt_recipe", "images/tiny", "images/debian-desktop")
    programs = [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.is_file() and is_python(path)]
    programs.remove(ROOT / "images/tiny/strip.py")
    own = {path.parent.name for path in programs if path.name == "__init__.py"}
    assert own == {"labvirt_kiosk", "labvirt_recipe", "tiny_recipe", "desktop_recipe", "kiosk_recipe"}
    foreign = [
        f"{path.relative_to(ROOT)}:{line}: imports {module[0]}"
        for path in programs
        for line, module in imports(path.relative_to(ROOT).parts[:-1], ast.parse(path.read_bytes(), str(path)))
        if module[0] not in sys.stdlib_module_names | own
    ]
    assert not foreign, "\n".join(foreign)


def is_python(path: Path) -> bool:
    if path.suffix:
        return path.suffix == ".py"
    with path.open("rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and b"python" in first
