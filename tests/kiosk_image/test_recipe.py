# SPDX-License-Identifier: MIT
"""The recipe's parts that need no Debian: lists, mirror, key, modules, copies."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from kiosk_recipe import KIOSK, tree
from kiosk_recipe.account import add_kiosk
from kiosk_recipe.boot_folder import FILES, finished, put_folder
from kiosk_recipe.command import PROGRAMS, tidy
from kiosk_recipe.kernel_modules import wanted_modules
from kiosk_recipe.lists import content_key, listed, recipe_files
from labvirt_recipe import RecipeError, program
from labvirt_recipe.content import file_sha256
from labvirt_recipe.mirror import mirror_of


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
def test_the_mirror_is_the_one_of_this_machine(text: str, mirror: str | None) -> None:
    assert mirror_of(text) == mirror


def test_the_key_follows_the_packages_and_the_files() -> None:
    files = set(recipe_files())
    assert {"image/build.py", "image/packages", "image/initrd/init", "labvirt-kiosk", "labvirt_kiosk/loop.py"} <= files
    assert not any("README" in name or "__pycache__" in name for name in files)
    assert content_key(["a 1"]) == content_key(["a 1"]) != content_key(["a 2"])


def test_lists_have_no_comment_and_name_what_is_promised() -> None:
    packages = listed("packages")
    assert {"linux-image-amd64", "freerdp3-x11", "virt-viewer", "python3-tk", "openbox"} <= set(packages)
    for pattern in listed("dropped"):
        assert not pattern.startswith(("/", "#"))
        assert ".." not in pattern


def test_modules_bring_those_they_need(tmp_path: Path) -> None:
    kernel = tmp_path / "6.12" / "kernel"
    for name in ("net/card.ko.xz", "lib/helper.ko.xz", "sound/card2.ko.xz", "other/none.ko.xz"):
        (kernel / name).parent.mkdir(parents=True, exist_ok=True)
        (kernel / name).touch()
    (tmp_path / "6.12" / "modules.dep").write_text(
        "kernel/net/card.ko.xz: kernel/lib/helper.ko.xz\nkernel/lib/helper.ko.xz:\nkernel/sound/card2.ko.xz:\nkernel/other/none.ko.xz:\n"
    )
    image, boot = wanted_modules(kernel, ["boot net/*", "sound/**/*"])
    assert {file.name for file in boot} == {"card.ko.xz", "helper.ko.xz"}
    assert {file.name for file in image} == {"card.ko.xz", "helper.ko.xz", "card2.ko.xz"}


def test_the_user_kiosk_is_in_its_groups_and_nobody_has_a_password(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for name, text in {
        "passwd": "root:x:0:0::/root:/bin/bash\n",
        "group": "root:x:0:\naudio:x:29:\nvideo:x:44:pulse\ninput:x:104:pulse,\nusers:x:100:\n",
        "shadow": "root:$y$secret:20000::::::\ndaemon:*:20000::::::\n",
    }.items():
        (tmp_path / "etc" / name).write_text(text)
    add_kiosk(tmp_path)
    assert (tmp_path / "etc/passwd").read_text().splitlines()[-1] == "kiosk:x:1000:1000:kiosk:/run/home:/bin/false"
    groups = (tmp_path / "etc/group").read_text().splitlines()
    assert groups == ["root:x:0:", "audio:x:29:kiosk", "video:x:44:pulse,kiosk", "input:x:104:pulse,kiosk", "users:x:100:", "kiosk:x:1000:"]
    assert [line.split(":")[1] for line in (tmp_path / "etc/shadow").read_text().splitlines()] == ["!", "*", "!"]


def test_the_user_kiosk_may_read_its_program_whatever_the_checkouts_modes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("etc/passwd", "etc/group", "etc/shadow", "usr/sbin/init"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).touch()
    private = Path(shutil.copytree(KIOSK, tmp_path / "kiosk", ignore=shutil.ignore_patterns("__pycache__", "image")))
    for path in private.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    monkeypatch.setattr(tree, "KIOSK", private)
    tree.dress(tmp_path / "tree", "v1")
    program = tmp_path / "tree/usr/lib/labvirt/kiosk"
    assert (program / "labvirt_kiosk/loop.py").read_bytes() == (KIOSK / "labvirt_kiosk/loop.py").read_bytes()
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in program.rglob("*")}
    assert modes == {True: 0o755, False: 0o644}
    assert os.readlink(tmp_path / "tree/usr/sbin/init") == "../bin/busybox"


def boot_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    files = {name: {"size": len(name), "sha256": file_sha256(folder / name)} for name in FILES}
    (folder / "manifest.json").write_text(json.dumps({"version": "v1", "files": files}))
    return folder


def test_a_copy_replaces_a_boot_folder_and_nothing_else(tmp_path: Path) -> None:
    source = boot_folder(tmp_path / "made")
    assert finished(source)["version"] == "v1"
    for _ in range(2):  # into nothing, then over the first
        put_folder(source, tmp_path / "out")
        assert finished(tmp_path / "out")["version"] == "v1"
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis").write_text("years of work")
    with pytest.raises(RecipeError, match="no boot folder"):
        put_folder(source, precious)
    assert (precious / "thesis").read_text() == "years of work"
    (tmp_path / "made" / "vmlinuz").write_text("VMLINUZ")
    assert finished(source) is None


def test_the_cache_keeps_this_one_and_the_one_before(tmp_path: Path) -> None:
    for age, name in enumerate(("kiosk-" + "c" * 16, "kiosk-" + "b" * 16, "kiosk-" + "a" * 16, "kiosk-base-0", "tiny", "kiosk-notes")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1_000_000 - age, 1_000_000 - age))
    tidy(tmp_path, tmp_path / ("kiosk-" + "c" * 16))
    assert {path.name for path in tmp_path.iterdir()} == {"kiosk-" + "c" * 16, "kiosk-" + "b" * 16, "tiny", "kiosk-notes"}


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: "/usr/bin/x")
    program.check(PROGRAMS)
    monkeypatch.setattr(program.shutil, "which", lambda name, path=None: None)
    with pytest.raises(RecipeError, match="apt-get install --no-install-recommends kmod mmdebstrap squashfs-tools"):
        program.check(PROGRAMS)
