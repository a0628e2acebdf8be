# SPDX-License-Identifier: MIT
"""What all recipes share: programs that fail, files that appear whole, one build at a time."""

from __future__ import annotations

import argparse
import json
import os
import select
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from labvirt_recipe import RecipeError, cpio
from labvirt_recipe.boot_record import Partition, boot_record
from labvirt_recipe.command import Made, carry_out
from labvirt_recipe.complete import move_folder, put, write_json, writing
from labvirt_recipe.layer import lay_over
from labvirt_recipe.program import missing, run, search_path

# --- programs ---------------------------------------------------------------------------------------------------------


def test_a_program_that_fails_is_a_sentence_with_its_reason() -> None:
    assert run("sh", "-c", "cat; printf %s $0", "!", data=b"in ") == b"in !"
    with pytest.raises(RecipeError, match=r"The program sh failed with status 3: FATAL: no module\.$"):
        run("sh", "-c", "echo 'FATAL: no module' >&2; echo 'ends' >&2; exit 3")
    with pytest.raises(RecipeError, match=r"status 4: told on stdout\.$"):
        run("sh", "-c", "echo told on stdout; exit 4")
    with pytest.raises(RecipeError, match=r"status 2: tar: .*no-such-file: Cannot open"):
        run("tar", "-xf", "/no-such-file")
    with pytest.raises(RecipeError, match=r"it said nothing\.$"):
        run("false")
    with pytest.raises(RecipeError, match=r"^Name a time zone\.$"):
        run("sh", "-c", "echo 'build.py: Name a time zone.' >&2; exit 1")


def test_a_missing_program_says_what_to_do() -> None:
    with pytest.raises(RecipeError, match="install them with `apt-get install --no-install-recommends no-such-program`"):
        run("no-such-program")
    assert missing(["mformat", "mkfs.ext4", "mcopy"]).endswith("--no-install-recommends e2fsprogs mtools`.")
    assert "apt-cache is missing" in missing(["apt-cache"])
    assert "--refresh" in missing(["/tmp/unpacked/usr/bin/syslinux"])


def test_programs_are_not_looked_for_where_the_caller_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert search_path(tmp_path).split(":")[0] == str(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert search_path() == "/usr/sbin:/sbin"  # an empty place in it would be the current folder


# --- files that appear whole ------------------------------------------------------------------------------------------


def test_a_file_is_what_it_was_or_whole(tmp_path: Path) -> None:
    target, source = tmp_path / "image", tmp_path / "source"
    target.write_text("before")
    (tmp_path / ".image.dead.part").write_text("half, by a build that was killed")
    source.write_text("after")

    def half() -> None:
        with writing(target) as stream:
            stream.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        half()
    assert target.read_text() == "before"
    assert {file.name for file in tmp_path.iterdir()} == {"image", "source"}
    put(source, target)
    assert target.read_text() == "after"
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    write_json(target, {"a": [1]})
    assert json.loads(target.read_text()) == {"a": [1]}


def test_a_folder_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for name in ("made", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    move_folder(tmp_path / "made", tmp_path / "old")
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["old", "old/made"]


def test_what_is_laid_over_has_modes_by_what_it_is(tmp_path: Path) -> None:
    for name, text in {"usr/bin/tool": "#!/bin/sh\n", "etc/list": "words\n", "__pycache__/x.pyc": "no"}.items():
        (tmp_path / "ours" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ours" / name).write_text(text)
        (tmp_path / "ours" / name).chmod(0o600)
    lay_over(tmp_path / "ours", tmp_path / "tree")
    tree = tmp_path / "tree"
    modes = {str(file.relative_to(tree)): stat.S_IMODE(file.stat().st_mode) for file in tree.rglob("*") if file.is_file()}
    assert modes == {"usr/bin/tool": 0o755, "etc/list": 0o644}


def test_cpio_unpacks_what_was_packed(tmp_path: Path) -> None:
    files = {"bin/tool": cpio.program(b"#!x"), "etc/odd": cpio.plain(b"12345"), "bin/other": cpio.link("tool")}
    archive = cpio.archive_of(files, folders=("proc",))
    subprocess.run(["cpio", "-i", "--quiet", "--no-absolute-filenames"], cwd=tmp_path, input=archive, check=True)
    assert (tmp_path / "etc/odd").read_bytes() == b"12345"
    assert os.readlink(tmp_path / "bin/other") == "tool"
    assert os.access(tmp_path / "bin/tool", os.X_OK)
    assert not os.access(tmp_path / "etc/odd", os.X_OK)
    assert (tmp_path / "proc").is_dir()
    listed = subprocess.run(["cpio", "-tv", "--quiet"], input=cpio.archive_of({}, devices=(cpio.NULL,)), capture_output=True, check=True)
    assert b"crw-rw-rw-" in listed.stdout
    assert b"1,   3" in listed.stdout


def test_a_first_sector_without_a_partition_is_still_one() -> None:
    for partitions in ([], [Partition(0x83, 1 << 20, 2 << 20)] * 4):
        sector = boot_record(b"\xeb" * 600, 1, partitions)
        assert (len(sector), sector[510:]) == (512, b"\x55\xaa")


# --- one build at a time, and how it ends -----------------------------------------------------------------------------


def test_builds_of_one_recipe_take_turns_and_clear_up_after_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "thing-build-dead/tree").mkdir(parents=True)
    (tmp_path / "other-build-alive").mkdir()
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from labvirt_recipe.cache import locked, workplace\n"
        "with locked(Path(sys.argv[2]), 'thing'), workplace(Path(sys.argv[2]), 'thing'):\n"
        "    print('in', flush=True); sys.stdin.read()\n"
    )
    argv = [sys.executable, "-I", "-c", program, str(Path(__file__).parents[2] / "images"), str(tmp_path)]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as second,
    ):
        each = {process.stdout: process for process in (first, second)}
        (inside_now,) = select.select(list(each), [], [], 60)[0]
        assert inside_now.readline() == b"in\n"
        waiting = next(stream for stream in each if stream is not inside_now)
        assert not select.select([waiting], [], [], 0.3)[0], "both were in"
        assert len(list(tmp_path.glob("thing-build-*"))) == 1
        each[inside_now].stdin.close()
        assert waiting.readline() == b"in\n"
        each[waiting].stdin.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other-build-alive", "thing.lock"]


def test_every_end_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.umask", lambda _: 0)
    options = argparse.Namespace(cache=tmp_path, json=True)

    def failing(error: Exception) -> int:
        def make(options: argparse.Namespace, cache: Path) -> Made:
            raise error

        return carry_out(options, make)

    assert carry_out(options, lambda options, cache: Made(cache / "x", {"key": "k"}, built=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["key"], told["path"], told["built"]) == ("k", str(tmp_path / "x"), True)
    assert carry_out(argparse.Namespace(cache=tmp_path, json=False), lambda options, cache: "the-key") == 0
    assert capsys.readouterr().out == "the-key\n"
    assert failing(RecipeError("Do this.")) == 1
    assert capsys.readouterr().err == "build.py: Do this.\n"
    assert failing(OSError(28, "No space left on device", "/var/x")) == 1
    assert capsys.readouterr().err == "build.py: /var/x: No space left on device; choose another --cache or --out, or free space.\n"
