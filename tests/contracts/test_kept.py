# SPDX-License-Identifier: MIT
"""What contracts.disks.KeptOverlays promises: nothing that a student wrote is lost on the way into the kept folder or out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from labvirt.contracts.disks import RunDisk
from labvirt.contracts.hypervisor import COMPANIONS
from labvirt.disks import kept as module
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.kept import Kept
from labvirt.errors import ImageDamaged, InUse, NotFound
from tests.fakes.disks import AT, Imported, doors, imported
from tests.unit.disks.images import Qcow2

RUN, NEXT = RunId("lab-a-07", 3), RunId("lab-a-07", 4)
CHOICE = (DiskChoice(place=0, image="tiny", version=1),)


@pytest.fixture
def made(tmp_path: Path) -> Imported:
    return imported(tmp_path)


def about(run: RunId = RUN, hours: int = 0, source: RunId | None = None) -> Kept:
    return Kept(
        run=run,
        profile="desk",
        disks=CHOICE,
        ended_at=AT + timedelta(hours=hours),
        why="the terminal asked for a fresh one",
        terminal="pc-07",
        source=source,
    )


def start(made: Imported, run: RunId = RUN, *, places: tuple[int, ...] = (0,), over: RunId | None = None) -> list[Path]:
    chains = made.doors["disks"].create_run(
        run, tuple(RunDisk(place=place, chain=(made.version,), kept=over) for place in places), uid=None
    )
    return [layers[0].path for _, layers in chains]


def io(path: Path, command: str) -> str:
    done = subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Pattern verification failed" not in done.stdout, done.stdout
    return done.stdout


def test_what_was_written_is_kept_read_only_with_its_record(tmp_path: Path, made: Imported) -> None:
    kept = made.doors["kept"]
    overlays = start(made, places=(0, 1))
    io(overlays[0], "write -P 7 0 64k")
    (overlays[0].parent / COMPANIONS[0]).write_bytes(b"variables")
    (overlays[0].parent / "qemu.log").write_text("not of interest")
    (overlays[0].parent / COMPANIONS[1]).symlink_to("/etc/passwd")
    found = kept.keep(RUN, about())
    assert found is not None
    folder = tmp_path / "kept" / str(RUN)
    assert sorted(path.name for path in folder.iterdir()) == ["overlay-0.qcow2", "overlay-1.qcow2", "record.json", COMPANIONS[0]]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert folder.stat().st_mode & 0o777 == 0o711
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert found.used_bytes == sum(path.stat().st_blocks * 512 for path in folder.glob("overlay-*"))
    assert (found.run, found.profile, found.disks, found.ended_at, found.terminal) == (RUN, "desk", CHOICE, AT, "pc-07")
    assert not (tmp_path / "runs" / str(RUN)).exists()
    assert kept.list() == (found,)
    assert doors(tmp_path)["kept"].list() == (found,)
    assert kept.keep(RUN, about()) == found  # again is fine


def test_nothing_is_kept_of_a_run_that_wrote_nothing(tmp_path: Path, made: Imported) -> None:
    kept = made.doors["kept"]
    assert kept.keep(RUN, about()) is None  # there is no run
    start(made)
    assert kept.keep(RUN, about()) is None
    start(made, places=())
    assert kept.keep(RUN, about()) is None
    assert kept.list() == ()
    (overlay,) = start(made)
    io(overlay, "write -z 0 64k")  # zeros over what was there: that is something
    assert kept.keep(RUN, about()) is not None


def test_a_second_run_of_the_same_name_is_kept_in_place_of_the_first(made: Imported) -> None:
    """A lab was removed and made again: its runs are counted from 1 again."""
    kept = made.doors["kept"]
    for pattern, hours in ((7, 1), (8, 2)):
        (overlay,) = start(made)
        io(overlay, f"write -P {pattern} 0 64k")
        found = kept.keep(RUN, about(hours=hours))
        assert found is not None
        assert found.ended_at == AT + timedelta(hours=hours)
        io(kept.layers(RUN)[0][1][0].path, f"read -P {pattern} 0 64k")
    start(made)
    assert kept.keep(RUN, about(hours=3)) is None  # nothing was written: what there is stays
    assert [each.ended_at for each in kept.list()] == [AT + timedelta(hours=2)]
    made.doors["disks"].remove_run(RUN)
    start(made, NEXT, over=RUN)
    (overlay,) = start(made)
    io(overlay, "write -P 9 0 64k")
    with pytest.raises(InUse, match=str(NEXT)):  # somebody rescues the first: the second stays where it is until then
        kept.keep(RUN, about(hours=4))
    assert overlay.exists()
    made.doors["disks"].remove_run(NEXT)
    found = kept.keep(RUN, about(hours=4))
    assert found is not None
    assert found.ended_at == AT + timedelta(hours=4)


def test_an_admin_sessions_run_is_not_kept(made: Imported) -> None:
    draft = made.doors["drafts"].create("tiny.d1", (made.version,))
    disk = RunDisk(place=0, chain=(made.version,), draft="tiny.d1")
    made.doors["disks"].create_run(RUN, (disk,), uid=None)
    io(draft.path, "write -P 7 0 64k")
    assert made.doors["kept"].keep(RUN, about()) is None
    io(draft.path, "read -P 7 0 64k")
    assert draft.path.stat().st_mode & 0o777 == 0o600


def test_garbage_in_the_run_is_kept_rather_than_lost(made: Imported) -> None:
    (overlay,) = start(made)
    overlay.write_bytes(b"not even a header")
    kept = made.doors["kept"]
    assert kept.keep(RUN, about()) is not None
    with pytest.raises(ImageDamaged, match=str(RUN)):
        kept.layers(RUN)
    assert kept.list()[0].profile == "desk"
    start(made, NEXT)
    kept.remove(RUN)
    assert kept.list() == ()


class Killed(BaseException):
    pass


def test_killed_anywhere_it_is_done_again(tmp_path: Path, made: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before each step that changes the disk, one after the other, until none was hit."""
    steps = 0
    for target, name in ((Path, "rename"), (module, "write_atomic"), (module, "remove_tree"), (module, "sync_folder"), (os, "fchmod")):
        real = getattr(target, name)
        for attempt in range(20):
            overlays = start(made, places=(0, 1))
            io(overlays[0], "write -P 7 0 64k")
            left = attempt

            def killed(*words: object, real: object = real, **more: object) -> object:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed
                return real(*words, **more)  # type: ignore[operator]

            with monkeypatch.context() as patch:
                patch.setattr(target, name, killed)
                try:
                    made.doors["kept"].keep(RUN, about())
                    done = True
                except Killed:
                    done = False
                    steps += 1
            again = doors(tmp_path)
            found = again["kept"].keep(RUN, about())
            assert found is not None
            assert again["kept"].list() == (found,)
            assert [path.name for path in sorted((tmp_path / "kept").glob("lab*"))] == [str(RUN)]
            assert again["disks"].open_run(RUN) is None
            ((_, layers), _) = again["disks"].create_run(
                NEXT, tuple(RunDisk(place=place, chain=(made.version,), kept=RUN) for place in (0, 1)), uid=None
            )
            io(layers[0].path, "read -P 7 0 64k")
            again["disks"].remove_run(NEXT)
            again["kept"].remove(RUN)
            if done:
                break
    assert steps >= 8


def test_a_run_that_was_removed_while_it_was_being_kept_is_kept(tmp_path: Path, made: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    (overlay,) = start(made)
    io(overlay, "write -P 7 0 64k")

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomic", killed)
        with pytest.raises(Killed):
            made.doors["kept"].keep(RUN, about())
    kept = doors(tmp_path)["kept"]
    assert kept.list() == ()  # `keep` would go on
    made.doors["disks"].remove_run(RUN)
    (found,) = kept.list()
    assert (found.run, found.profile, found.disks) == (RUN, "", CHOICE)
    assert len(kept.layers(RUN)[0][1]) == 2
    kept.remove(RUN)
    assert list((tmp_path / "kept").glob("lab*")) == []


def test_the_list_survives_garbage(tmp_path: Path, made: Imported) -> None:
    kept = made.doors["kept"]
    for run, hours in ((RUN, 1), (NEXT, 2)):
        (overlay,) = start(made, run)
        io(overlay, "write -P 7 0 64k")
        assert kept.keep(run, about(run, hours)) is not None
    root = tmp_path / "kept"
    (root / "notes").mkdir()
    (root / "lab-a-09.g1").write_text("a file")
    (root / "lab-a-10.g1").mkdir()
    (root / "lab-a-11.g1").symlink_to(root / str(RUN))
    assert [each.run for each in kept.list() if each.used_bytes] == [NEXT, RUN]
    for content in (b"", b"{}", b"[1]", b"\xff\xfe", b'{"schema": 1, "run": "lab-a-08.g1"}', b"[" * 70000):
        record = root / str(RUN) / "record.json"
        record.chmod(0o644)
        record.write_bytes(content)
        (found,) = [each for each in kept.list() if each.run == RUN]
        assert (found.profile, found.disks) == ("", CHOICE)
        assert found.used_bytes > 0
    record.unlink()
    record.mkdir()
    assert [each.disks for each in kept.list() if each.run == RUN] == [CHOICE]


def test_the_layers_are_those_of_the_headers(tmp_path: Path, made: Imported) -> None:
    kept = made.doors["kept"]
    with pytest.raises(NotFound):
        kept.layers(RUN)
    (overlay,) = start(made)
    io(overlay, "write -P 7 0 64k")
    kept.keep(RUN, about())
    ((place, layers),) = kept.layers(RUN)
    file = tmp_path / "kept" / str(RUN) / "overlay-0.qcow2"
    assert place == 0
    assert [layer.path for layer in layers] == [file, tmp_path / "images" / made.version.file]
    good = file.read_bytes()
    for name in (b"/etc/shadow", b"json:{}", b"../../secrets/key", os.fsencode(file), b"/x/lab-a-99.g1/overlay-0.qcow2"):
        file.chmod(0o644)
        file.write_bytes(Qcow2(backing=name, extensions=((0xE2792ACA, b"qcow2"),)).data())
        with pytest.raises(ImageDamaged, match=str(RUN)):
            kept.layers(RUN)
    file.write_bytes(good)
    assert kept.layers(RUN) == ((0, layers),)


def test_a_forged_header_shows_nobody_elses_disk(tmp_path: Path, made: Imported) -> None:
    """A QEMU that was taken over names another seat's kept overlay: only the record says what a run was continued from."""
    kept, theirs = made.doors["kept"], RunId("lab-a-08", 1)
    (overlay,) = start(made, theirs)
    io(overlay, "write -P 7 0 64k")
    kept.keep(theirs, about(theirs))
    (overlay,) = start(made)
    io(overlay, "write -P 8 0 64k")
    forged = str(tmp_path / "kept" / str(theirs) / "overlay-0.qcow2")
    subprocess.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", forged, str(overlay)], check=True, timeout=60)
    kept.keep(RUN, about())
    with pytest.raises(ImageDamaged, match="was not continued from it"):
        kept.layers(RUN)
    with pytest.raises(ImageDamaged, match="was not continued from it"):
        start(made, NEXT, over=RUN)
    assert not (tmp_path / "runs" / str(NEXT)).exists()
    # The control: who really continued may stand on it, and on what that one stood on.
    (overlay,) = start(made, NEXT, over=theirs)
    io(overlay, "read -P 7 0 64k")
    io(overlay, "write -P 9 0 64k")
    kept.keep(NEXT, about(NEXT, source=theirs))
    assert len(kept.layers(NEXT)[0][1]) == 3
    assert {each.run: each.source for each in doors(tmp_path)["kept"].list()} == {theirs: None, RUN: None, NEXT: theirs}
    third = RunId("lab-a-09", 1)
    (overlay,) = start(made, third, over=NEXT)
    io(overlay, "read -P 9 0 64k")


def test_a_state_folder_may_be_moved(tmp_path: Path, made: Imported) -> None:
    (overlay,) = start(made)
    io(overlay, "write -P 7 0 64k")
    made.doors["kept"].keep(RUN, about())
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("images", "kept", "runs"):
        shutil.move(tmp_path / name, moved / name)
    ((_, layers),) = doors(moved)["kept"].layers(RUN)
    assert [layer.path for layer in layers] == [moved / "kept" / str(RUN) / "overlay-0.qcow2", moved / "images" / made.version.file]
    ((_, layers),) = doors(moved)["disks"].create_run(NEXT, (RunDisk(place=0, chain=(made.version,), kept=RUN),), uid=None)
    assert len(layers) == 3


def test_what_somebody_stands_on_is_not_removed(tmp_path: Path, made: Imported) -> None:
    kept = made.doors["kept"]
    (overlay,) = start(made)
    io(overlay, "write -P 7 0 64k")
    kept.keep(RUN, about())
    (above,) = start(made, NEXT, over=RUN)
    with pytest.raises(InUse) as caught:
        kept.remove(RUN)
    assert caught.value.by == str(NEXT)
    io(above, "write -P 8 0 64k")
    kept.keep(NEXT, about(NEXT, source=RUN))
    with pytest.raises(InUse) as caught:
        kept.remove(RUN)
    assert caught.value.by == f"kept {NEXT}"
    assert len(kept.layers(NEXT)[0][1]) == 3
    kept.remove(NEXT)
    kept.remove(RUN)
    assert kept.list() == ()
    kept.remove(RUN)  # absent is fine
    # A removal that was killed half-way is finished, unless somebody stands on it after all.
    (overlay,) = start(made)
    io(overlay, "write -P 7 0 64k")
    kept.keep(RUN, about())
    start(made, NEXT, over=RUN)
    gone = tmp_path / "kept" / f"{RUN}.gone"
    (tmp_path / "kept" / str(RUN)).rename(gone)
    assert [each.run for each in kept.list()] == [RUN]
    made.doors["disks"].remove_run(NEXT)
    (tmp_path / "kept" / str(RUN)).rename(gone)
    assert kept.list() == ()
    assert not gone.exists()
