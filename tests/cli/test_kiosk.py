# SPDX-License-Identifier: MIT
"""labvirt kiosk: with a stub of the recipe, which makes its boot folder from nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from labvirt.bootstrap import kiosk as errands
from labvirt.domain.kiosk import NEEDED
from labvirt.network.authority import FileAuthority
from tests.cli.conftest import Line

STUB = """
import json, pathlib, shutil, sys
made = pathlib.Path(__file__).parent / "made"
if (made.parent / "broken").exists():
    print("build.py: The kiosk is built with programs that are missing here.", file=sys.stderr)
    sys.exit(1)
print(json.dumps({"path": str(made)}))
"""


def make(folder: Path, version: str) -> None:
    folder.mkdir(exist_ok=True)
    files = {}
    for name in NEEDED:
        data = f"{name} of {version}".encode()
        (folder / name).write_bytes(data)
        files[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps({"version": version, "kernel": "6.12", "built_at": "2026-11-27", "files": files}))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stub = tmp_path / "recipe"
    stub.mkdir()
    (stub / "build.py").write_text(STUB)
    monkeypatch.setattr(errands, "recipe", lambda: stub / "build.py")
    make(stub / "made", "v1")
    return stub / "made"


def test_there_is_none_until_it_is_built(bare: Line, made: Path) -> None:
    told = bare.json("kiosk", "show", code=1)
    assert told["error"]["code"] == "not-found"
    built = bare.json("kiosk", "build")
    assert built["version"] == "v1"
    shown = bare.json("kiosk", "show")
    assert shown == built
    assert {file["name"] for file in shown["files"]} == set(NEEDED)
    assert shown["size_bytes"] == sum(file["size_bytes"] for file in shown["files"])


def test_the_current_one_is_swapped_and_the_one_before_stays(bare: Line, made: Path) -> None:
    site = bare.state / "kiosk"
    for version in ("v1", "v2", "v3"):
        make(made, version)
        assert bare.json("kiosk", "build")["version"] == version
        assert (site / "current").resolve() == site / version
        assert (site / "current" / "vmlinuz").read_text() == f"vmlinuz of {version}"
    assert {path.name for path in site.iterdir()} == {"current", "v2", "v3"}
    assert bare.json("kiosk", "build")["version"] == "v3"  # again, with nothing new
    assert {path.name for path in site.iterdir()} >= {"current", "v3"}


def test_a_recipe_that_fails_is_a_sentence_and_changes_nothing(bare: Line, made: Path) -> None:
    bare.json("kiosk", "build")
    (made.parent / "broken").touch()
    told = bare.json("kiosk", "build", code=3)
    assert "programs that are missing" in told["error"]["sentence"]
    assert bare.json("kiosk", "show")["version"] == "v1"


@pytest.mark.parametrize("wrong", ["checksum", "size", "name", "version", "missing"])
def test_a_boot_folder_that_is_not_whole_is_refused(bare: Line, made: Path, wrong: str) -> None:
    bare.json("kiosk", "build")
    make(made, "v2")
    manifest = json.loads((made / "manifest.json").read_text())
    if wrong == "checksum":
        (made / "vmlinuz").write_bytes(b"VMLINUZ of v2")
    elif wrong == "size":
        (made / "vmlinuz").write_bytes(b"short")
    elif wrong == "name":
        manifest["files"]["../../x"] = manifest["files"]["vmlinuz"]
    elif wrong == "version":
        manifest["version"] = "../v2"
    else:
        del manifest["files"]["initrd.img"]
    (made / "manifest.json").write_text(json.dumps(manifest))
    assert bare.run("kiosk", "build").exit_code != 0
    assert bare.json("kiosk", "show")["version"] == "v1"
    assert not list((bare.state / "kiosk").glob(".*"))


def test_a_site_that_is_set_up_has_its_authority_in_what_terminals_start(bare: Line, made: Path) -> None:
    without = bare.json("kiosk", "build")
    assert (without["version"], without["ca"]) == ("v1", None)
    bare.json("init")
    pem = FileAuthority(bare.state / "secrets").ca_pem()
    with_it = bare.json("kiosk", "build")
    assert with_it["ca"] == hashlib.sha256(pem.encode()).hexdigest()
    assert with_it["version"] == f"v1.ca{with_it['ca'][:8]}"
    initrd = (bare.state / "kiosk" / "current" / "initrd.img").read_bytes()
    assert initrd.startswith(b"initrd.img of v1\0")
    assert pem.encode() in initrd
    assert b"PRIVATE" not in initrd
    told = {file["name"]: file for file in with_it["files"]}
    assert told["initrd.img"]["sha256"] == hashlib.sha256(initrd).hexdigest()
    assert told["vmlinuz"] == {file["name"]: file for file in without["files"]}["vmlinuz"]
    assert bare.json("kiosk", "build") == with_it
    assert bare.json("kiosk", "show") == with_it
