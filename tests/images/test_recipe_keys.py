# SPDX-License-Identifier: MIT
"""The content key of each recipe covers every file that shapes its image: each module that runs, each file that goes in, and no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import json, runpy, sys
from pathlib import Path
runpy.run_path(sys.argv[1])
module = sys.modules[sys.argv[2]]
files = module.recipe_files()
arguments = json.loads(sys.argv[3])
plain = module.content_key(*arguments)
unnoticed = []
for name, file in files.items() if sys.argv[4] == "each" else ():
    before = file.read_bytes()
    file.write_bytes(before + b"#")
    unnoticed += [name] if module.content_key(*arguments) == plain else []
    file.write_bytes(before)
loaded = [each.__file__ for each in list(sys.modules.values()) if getattr(each, "__file__", None)]
print(json.dumps({"key": plain, "files": {name: str(file) for name, file in files.items()}, "unnoticed": unnoticed, "loaded": loaded}))
"""


@dataclass(frozen=True)
class Recipe:
    folder: str
    module: str
    arguments: list[Any]
    inside: str
    """A folder of it whose files go into the image."""


RECIPES = (
    Recipe("images/tiny", "tiny_recipe.command", [{"kernel": {"version": "1", "sha256": "00"}}], "guest"),
    Recipe("images/debian-desktop", "desktop_recipe.choices", [["a 1"], {"locale": "en_US"}], "root"),
    Recipe("kiosk/image", "kiosk_recipe.lists", [["a 1"]], "root"),
)


def copy(folder: Path) -> Path:
    """Both folders of recipes, as a checkout and an installed LabVirt have them: side by side."""
    for name in ("images", "kiosk"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def probe(place: Path, recipe: Recipe, how: str = "once") -> dict[str, Any]:
    argv = [sys.executable, "-I", "-c", PROBE, str(place / recipe.folder / "build.py"), recipe.module, json.dumps(recipe.arguments), how]
    told: dict[str, Any] = json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, timeout=120).stdout)
    return told


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.folder)
def test_the_key_follows_every_file_that_shapes_the_image(tmp_path: Path, recipe: Recipe) -> None:
    place = copy(tmp_path / "checkout")
    told = probe(place, recipe, "each")
    assert told["unnoticed"] == []
    covered = {Path(file) for file in told["files"].values()}

    ours = {Path(file) for file in told["loaded"] if Path(file).is_relative_to(tmp_path)}
    assert len(ours) > 10
    assert ours <= covered, "a module that runs is not in the key"
    folder = place / recipe.folder
    present = {file for file in folder.rglob("*") if file.is_file()} | set((place / "images/labvirt_recipe").glob("*"))
    assert present - covered <= {folder / "README.md", folder / "strip.py"}, "a file beside the recipe is not in the key"
    package = folder / recipe.module.split(".")[0]
    assert set(package.glob("*.py")) <= ours, "a module that never runs"
    assert probe(place, recipe)["key"] == told["key"], "the control: the probe left all as it was"

    for new in (
        folder / recipe.inside / "etc/new",
        folder / recipe.module.split(".")[0] / "new.py",
        place / "images/labvirt_recipe/new.py",
    ):
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_text("# new\n")
        assert probe(place, recipe)["key"] != told["key"], new
        new.unlink()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.folder)
def test_the_key_is_the_same_wherever_the_recipe_lies(tmp_path: Path, recipe: Recipe) -> None:
    checkout, installed = copy(tmp_path / "checkout"), copy(tmp_path / "site-packages/labvirt/share")
    for written in (checkout / recipe.folder / "README.md", *checkout.rglob("*_recipe/__init__.py")):
        if written.suffix == ".md":
            written.write_text("other words")
        else:
            (written.parent / "__pycache__").mkdir()
            (written.parent / "__pycache__/x.cpython-311.pyc").write_text("of another interpreter")
    assert probe(checkout, recipe)["key"] == probe(installed, recipe)["key"]
    for place in (installed, checkout):
        assert not [path for path in place.rglob("*.pyc") if path.name != "x.cpython-311.pyc"], "it wrote into a folder that is not its own"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.folder)
def test_a_bare_python_runs_it(recipe: Recipe) -> None:
    """Isolated, without site-packages, from a folder that has nothing to do with it."""
    argv = [sys.executable, "-I", "-S", str(ROOT / recipe.folder / "build.py"), "--help"]
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--cache DIR" in done.stdout
