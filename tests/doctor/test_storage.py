# SPDX-License-Identifier: MIT
"""Where disks lie: what must share a file system, what can share blocks, what has no room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.doctor import checks, storage
from labvirt.doctor.storage import DiskFolders
from labvirt.domain.findings import Finding, Severity
from labvirt.domain.host import HostLoad

ROOT = Path(__file__).parents[2]
ROOM_MIB = 50_000
OTHER = Path("/proc")
"""Always another file system than that of tests."""


class Machine:
    def __init__(self, disk: int = ROOM_MIB) -> None:
        self.disk = disk

    def load(self) -> HostLoad:
        return HostLoad(memory_total_mib=65536, memory_available_mib=65536, cpus=4, disk_free_mib=self.disk)

    def boot_id(self) -> str:
        return "boot"


def folders(state: Path, *, budget_mib: int = 20480, **elsewhere: Path) -> DiskFolders:
    places = {name: state / name for name in ("images", "drafts", "runs", "kept")} | elsewhere
    return DiskFolders(**places, budget_mib=budget_mib)


def bad(found: tuple[Finding, ...]) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in found if finding.severity is not Severity.OK}


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_ordinary_state_folder_is_well_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    for name in ("images", "drafts", "runs", "kept"):
        (tmp_path / name).mkdir()
    found = storage.storage(folders(tmp_path), Machine())
    assert bad(found) == {}
    assert {finding.code for finding in found} == {"reflink", "disk-room"}
    assert leftovers(tmp_path) == []


def test_folders_of_an_older_labvirt_are_judged_by_the_place_where_they_will_be(tmp_path: Path) -> None:
    assert bad(storage.storage(folders(tmp_path), Machine())) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("apart", ["drafts", "kept", "images"])
def test_folders_on_two_file_systems_are_named_with_what_is_lost(tmp_path: Path, apart: str) -> None:
    found = storage.storage(folders(tmp_path, **{apart: OTHER}), Machine())
    assert bad(found) == {"file-systems": Severity.WARNING if apart == "images" else Severity.ERROR}
    assert (found[0].subject, "umount" in found[0].fix) == (str(OTHER), True)
    assert bad(storage.storage(folders(tmp_path), Machine())) == {}


def test_what_the_check_says_of_two_folders_is_what_link_does(tmp_path: Path) -> None:
    """The reason for the check, by the kernel itself."""
    (tmp_path / "disk").touch()
    with pytest.raises(OSError, match="cross-device"):
        os.link("/proc/version", tmp_path / "overlay")
    os.link(tmp_path / "disk", tmp_path / "overlay")  # the control


LOOK = """
import sys
from pathlib import Path
from labvirt.doctor import storage
state = Path(sys.argv[1])
places = {name: state / name for name in ("images", "drafts", "runs", "kept")}
print(storage.sharing(storage.DiskFolders(**places, budget_mib=1))[0].sentence, list(state.iterdir()))
"""


@pytest.mark.real
def test_sharing_is_tried_on_the_file_system_itself(tmp_path: Path) -> None:
    """XFS shares blocks, a file system in memory does not. Both are mounted in a mount namespace that ends with the process."""
    disk, point = tmp_path / "xfs", tmp_path / "point"
    point.mkdir()
    with disk.open("wb") as file:
        file.truncate(320 << 20)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(disk)], check=True, timeout=60)

    def told(*mount: str) -> str:
        script = 'look=$1 python=$2 point=$3; shift 3; mount "$@" "$point"; exec "$python" -c "$look" "$point"'
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", LOOK, sys.executable, str(point), *mount]
        return subprocess.run(argv, check=True, timeout=60, capture_output=True, text=True, cwd=ROOT).stdout.strip()

    assert told("-o", "loop", str(disk)) == "The file system shares blocks: sealing a version takes no time and no room. []"
    assert told("-t", "tmpfs", "none").startswith("The file system cannot share blocks")


def test_a_draft_larger_than_what_is_free_is_named(tmp_path: Path) -> None:
    draft = tmp_path / "drafts" / "tiny.d5"
    draft.mkdir(parents=True)
    (draft / "disk.qcow2").write_bytes(bytes(3 << 20))
    found = storage.room(folders(tmp_path, budget_mib=0), Machine(2))
    assert [(finding.code, finding.subject) for finding in found] == [("draft-room", "tiny.d5")]
    assert "labvirt admin discard tiny.d5" in found[0].fix
    assert "holds 3 MiB" in found[0].sentence
    assert bad(storage.room(folders(tmp_path, budget_mib=0), Machine(4))) == {}


def test_a_budget_that_does_not_fit_is_said(tmp_path: Path) -> None:
    run = tmp_path / "kept" / "lab-a-07.g3"
    run.mkdir(parents=True)
    (run / "overlay-0.qcow2").write_bytes(bytes(5 << 20))
    found = storage.room(folders(tmp_path, budget_mib=106), Machine(100))
    assert [finding.code for finding in found] == ["kept-room"]
    assert "rescue_budget_mib" in found[0].fix
    assert bad(storage.room(folders(tmp_path, budget_mib=105), Machine(100))) == {}  # what is kept already counts


def test_disks_are_shown_as_files_only_where_fuse_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "FUSE", tmp_path / "fuse")
    found = storage.fuse()
    assert [(finding.code, finding.severity, finding.fix) for finding in found] == [("fuse", Severity.WARNING, "modprobe fuse")]
    (tmp_path / "fuse").touch()
    assert storage.fuse() == ()
    (tmp_path / "fuse").unlink()
    (tmp_path / "fuse").mkdir()  # there, and does not open for anybody
    assert storage.fuse()[0].fix.startswith("chmod 666")


def test_a_folder_that_may_not_be_looked_into_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_folders: DiskFolders) -> tuple[Finding, ...]:
        raise PermissionError(13, "Permission denied", "/state/runs")

    assert bad(storage.storage(folders(tmp_path), Machine())) == {}
    monkeypatch.setattr(storage, "one_file_system", refused)
    found = storage.storage(folders(tmp_path), Machine())
    assert (found[0].code, found[0].subject) == ("state-unreadable", "/state/runs")
    assert checks.worst(found) is Severity.ERROR
