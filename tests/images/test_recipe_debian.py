# SPDX-License-Identifier: MIT
"""Debian's part of an image, with a stub of mmdebstrap: what it is told, what the cache keeps, and what a failure leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from labvirt_recipe import RecipeError
from labvirt_recipe.debian import DebianPart, inside

MIRROR = "http://archive.example/debian"

STUB = """#!/bin/sh
{ echo called; for word; do printf '%s\\n' "$word"; done; cat; } >>"$STUB_SAID"
for word; do
    case $word in
    --customize-hook=*dpkg-query*) printf 'b 2\\na 1\\n' >"${word##*> }" ;;
    */base.tar | */loaders.tar) echo tar >"$word" ;;
    esac
done
[ ! -e "$STUB_SAID.fail" ] || { echo "E: no such package: nonsense" >&2; echo "mmdebstrap ends" >&2; exit 25; }
"""


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stub of mmdebstrap was told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/mmdebstrap").write_text(STUB)
    (tmp_path / "bin/mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("STUB_SAID", str(tmp_path / "said"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "said"


def part(**more: tuple[str, ...]) -> DebianPart:
    asked = {"packages": ("busybox", "xrdp"), "loaders": ("grub-common",), **more}
    return DebianPart(recipe="thing", variant="apt", **asked)


def test_debians_part_is_taken_once_and_again_when_it_is_wished(tmp_path: Path, said: Path) -> None:
    cache = tmp_path / "cache"
    mine = part(hooks=(inside("useradd", "student"),), paths=("path-include=/usr/share/doc/*/copyright",))
    folder, packages = mine.take(cache, mirror=MIRROR, refresh=False)
    assert folder == cache / f"thing-base-{mine.key()}"
    assert packages[:2] == ["a 1", "b 2"]
    assert packages[2].startswith("loaders ")
    assert {file.name for file in folder.iterdir()} >= {"base.tar", "loaders.tar", "packages.json"}
    assert not list(cache.glob("thing-build-*"))
    told = said.read_text().splitlines()
    assert told.count("called") == 2
    assert {"--variant=apt", "--variant=extract", "--include=busybox,xrdp", "--include=grub-common"} <= set(told)
    assert '--customize-hook=chroot "$1" useradd student' in told
    assert f"deb {MIRROR}-security trixie-security main" in told
    assert told.index("--dpkgopt=path-exclude=/usr/share/doc/*") < told.index("--dpkgopt=path-include=/usr/share/doc/*/copyright")
    assert mine.take(cache, mirror=MIRROR, refresh=False) == (folder, packages)
    assert said.read_text().splitlines().count("called") == 2
    mine.take(cache, mirror=MIRROR, refresh=True)
    assert said.read_text().splitlines().count("called") == 4


def test_a_part_that_fails_leaves_the_one_before(tmp_path: Path, said: Path) -> None:
    cache = tmp_path / "cache"
    folder, packages = part().take(cache, mirror=MIRROR, refresh=False)
    Path(f"{said}.fail").touch()
    with pytest.raises(RecipeError, match="E: no such package: nonsense"):
        part().take(cache, mirror=MIRROR, refresh=True)
    assert part().take(cache, mirror=MIRROR, refresh=False) == (folder, packages)
    assert [path.name for path in cache.iterdir()] == [folder.name]
    with pytest.raises(RecipeError, match="--mirror URL"):
        part().take(cache, mirror=None, refresh=False)


def test_debians_key_follows_packages_loaders_and_what_else_matters() -> None:
    keys = {part().key(), part(packages=("busybox",)).key(), part(loaders=("shim",)).key(), part(also=("1",)).key()}
    assert len(keys) == 4
    assert part().key() == part().key()
