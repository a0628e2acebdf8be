# SPDX-License-Identifier: MIT
"""The recipe's parts that need no Debian: lists, mirror, key, modules, copies."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BUILD = Path(__file__).resolve().parents[2] / "kiosk" / "image" / "build.py"


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kiosk_recipe", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "text,mirror",
    [
        ("deb http://archive.example/debian bookworm main\n", "http://archive.example/debian"),
        ("deb [signed-by=/a.gpg] https://mirror.example/debian/ trixie main\n", "https://mirror.example/debian"),
        ("Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n", "http://mirror.example/debian"),
        ("URIs: http://archive.example/debian-security\n", None),
        ("deb https://other.example/apt stable main\n# deb http://x/debian y\n", None),
    ],
)
def test_the_mirror_is_the_one_of_this_machine(recipe: ModuleType, text: str, mirror: str | None) -> None:
    assert recipe.mirror_of(text) == mirror


def test_the_key_follows_the_packages_and_the_files(recipe: ModuleType) -> None:
    files = {str(file.relative_to(recipe.KIOSK)) for file in recipe.recipe_files()}
    assert {"image/build.py", "image/packages", "image/initrd/init", "labvirt-kiosk", "labvirt_kiosk/loop.py"} <= files
    assert not any("README" in name or "__pycache__" in name for name in files)
    assert recipe.content_key(["a 1"]) == recipe.content_key(["a 1"]) != recipe.content_key(["a 2"])


def test_lists_have_no_comment_and_name_what_is_promised(recipe: ModuleType) -> None:
    packages = recipe.listed("packages")
    assert {"linux-image-amd64", "freerdp3-x11", "virt-viewer", "python3-tk", "openbox"} <= set(packages)
    for pattern in recipe.listed("dropped"):
        assert not pattern.startswith(("/", "#"))
        assert ".." not in pattern


def test_modules_bring_those_they_need(recipe: ModuleType, tmp_path: Path) -> None:
    kernel = tmp_path / "6.12" / "kernel"
    for name in ("net/card.ko.xz", "lib/helper.ko.xz", "sound/card2.ko.xz", "other/none.ko.xz"):
        (kernel / name).parent.mkdir(parents=True, exist_ok=True)
        (kernel / name).touch()
    (tmp_path / "6.12" / "modules.dep").write_text(
        "kernel/net/card.ko.xz: kernel/lib/helper.ko.xz\nkernel/lib/helper.ko.xz:\nkernel/sound/card2.ko.xz:\nkernel/other/none.ko.xz:\n"
    )
    image, boot = recipe.wanted_modules(kernel, ["boot net/*", "sound/**/*"])
    assert {file.name for file in boot} == {"card.ko.xz", "helper.ko.xz"}
    assert {file.name for file in image} == {"card.ko.xz", "helper.ko.xz", "card2.ko.xz"}


def boot_folder(recipe: Any, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in recipe.FILES:
        (folder / name).write_text(name)
    files = {name: {"size": len(name), "sha256": recipe.file_sha256(folder / name)} for name in recipe.FILES}
    (folder / "manifest.json").write_text(json.dumps({"version": "v1", "files": files}))
    return folder


def test_a_copy_replaces_a_boot_folder_and_nothing_else(recipe: ModuleType, tmp_path: Path) -> None:
    source = boot_folder(recipe, tmp_path / "made")
    assert recipe.finished(source)["version"] == "v1"
    for _ in range(2):  # into nothing, then over the first
        recipe.put_folder(source, tmp_path / "out")
        assert recipe.finished(tmp_path / "out")["version"] == "v1"
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis").write_text("years of work")
    with pytest.raises(recipe.RecipeError, match="no boot folder"):
        recipe.put_folder(source, precious)
    assert (precious / "thesis").read_text() == "years of work"
    (tmp_path / "made" / "vmlinuz").write_text("VMLINUZ")
    assert recipe.finished(source) is None


def test_the_cache_keeps_this_one_and_the_one_before(recipe: ModuleType, tmp_path: Path) -> None:
    for age, name in enumerate(("kiosk-" + "c" * 16, "kiosk-" + "b" * 16, "kiosk-" + "a" * 16, "kiosk-base-0", "tiny", "kiosk-notes")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    recipe.tidy(tmp_path, tmp_path / ("kiosk-" + "c" * 16))
    assert {path.name for path in tmp_path.iterdir()} == {"kiosk-" + "c" * 16, "kiosk-" + "b" * 16, "tiny", "kiosk-notes"}


def test_missing_programs_are_named_with_their_packages(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recipe.shutil, "which", lambda name, path=None: "/usr/bin/x")
    recipe.check_programs()
    monkeypatch.setattr(recipe.shutil, "which", lambda name, path=None: None)
    with pytest.raises(recipe.RecipeError, match="apt-get install --no-install-recommends kmod mmdebstrap squashfs-tools"):
        recipe.check_programs()
