# SPDX-License-Identifier: MIT
"""A controller is backed up while it lives, and lives again elsewhere: by the commands, over real files, with writers that go on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from labvirt import bootstrap
from labvirt.usecases import audit, setup, sign_in, terminals
from labvirt.usecases.sign_in import From
from tests.cli.conftest import as_qcow2

ROOT = Path(__file__).parents[2]


def call(state: Path, *words: str, code: int = 0) -> Any:
    """The command in a process of its own, as a person calls it; what it printed."""
    argv = [sys.executable, "-m", "labvirt", "--state", str(state), "--json", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of simulated guests: a lab, terminals, an image with two versions, a login for a home."""
    state = tmp_path_factory.mktemp("controller") / "state"
    call(state, "init", "--hypervisor", "fake")
    call(state, "lab", "add", "lab-a", "--network", "10.77.0.0/24")
    disk = state.parent / "disk.raw"
    disk.write_bytes(b"labvirt " * 65536)
    source = as_qcow2(disk)
    call(state, "image", "import", "tiny", str(source), "--format", "qcow2")
    call(state, "image", "import", "tiny", str(source), "--format", "qcow2")
    call(state, "profile", "add", "desk", "--memory", "64", "--disk", "tiny:virtio")
    call(state, "terminal", "add", "pc-01", "--lab", "lab-a", "--mac", "52:54:00:00:00:01")
    (state / "homes" / "desk").write_text("username=x\npassword=hunter2\n")
    (state / "networks" / "lab-a").mkdir(exist_ok=True)
    (state / "networks" / "lab-a" / "leases").write_text("1 52:54:00:00:00:01 10.77.0.65 pc-01 *\n")
    return state


KEPT = (["lab", "list"], ["terminal", "list"], ["profile", "list"], ["version", "list", "tiny"], ["class", "list"])


def told(state: Path) -> list[Any]:
    """What is kept, without what a file takes on this disk: a copy has other holes."""
    return [_plain(call(state, *words)) for words in KEPT]


def _plain(each: Any) -> Any:
    if isinstance(each, list):
        return [_plain(one) for one in each]
    if isinstance(each, dict):
        return {key: _plain(value) for key, value in each.items() if key != "used_bytes"}
    return each


def members(backup: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(backup) as archive:
        return {info.name: info for info in archive}


def test_without_images(made: Path, tmp_path: Path) -> None:
    backup, again = tmp_path / "backup", tmp_path / "again"
    job = call(made, "backup", str(backup))
    assert (job["state"], job["result"]["images_without_file"]) == ("done", "2")
    assert backup.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"backup"}
    names = set(members(backup))
    assert {"manifest.json", "labvirt.db", "labvirt.toml", "homes/desk", "networks/lab-a/leases"} <= names
    assert {name for name in names if name.startswith("secrets/")} == {f"secrets/{each.name}" for each in (made / "secrets").iterdir()}
    assert not [name for name in names if name.endswith(".qcow2")]
    before = told(made)
    facts = call(made, "restore", str(backup), "--into", str(again))
    assert [each["number"] for each in facts["missing"]] == [1, 2]
    after = told(again)
    assert after[:3] + after[4:] == before[:3] + before[4:]
    for kind in ("secrets", "homes"):
        for file in (made / kind).iterdir():
            assert (again / kind / file.name).read_bytes() == file.read_bytes()
            assert (again / kind / file.name).stat().st_mode & 0o777 == 0o600
    doctor = subprocess.run(
        [sys.executable, "-m", "labvirt", "--state", str(again), "--json", "doctor"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    sentences = [each["sentence"] for each in json.loads(doctor.stdout)["findings"]]
    for number in (1, 2):
        assert any(f"tiny v{number}" in each for each in sentences), sentences
    assert call(again, "audit", "verify")["ok"] is True
    last = call(again, "audit", "list", "--count", "1")[0]
    assert (last["verb"], last["subject"]) == ("restore", "controller")


def test_with_images_while_writers_go_on(made: Path, tmp_path: Path) -> None:
    """Signing in works there with what was valid here; a start takes the version that came along."""
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        with bootstrap.ports(made) as ports:
            while not stop.is_set():
                name = f"t{len(written):04d}"
                terminals.add(ports, lab="lab-a", name=name)
                terminals.remove(ports, name)
                written.append(name)

    with bootstrap.ports(made) as ports:
        code = setup.sign_in_code(ports)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 3:
            assert writer.is_alive()
        call(made, "backup", str(tmp_path / "backup"), "--with-images")
        at = len(written)
        while len(written) == at:
            assert writer.is_alive()
    finally:
        stop.set()
        writer.join(60)
    facts = call(made, "restore", str(tmp_path / "backup"), "--into", str(tmp_path / "new" / "again"))
    assert facts["missing"] == []
    again = tmp_path / "new" / "again"
    assert told(again)[3] == told(made)[3], "every version has its file"
    with bootstrap.ports(again) as ports:
        proof = audit.verify(ports)
        assert proof.broken is None
        assert proof.entries > 3
        assert sign_in.by_code(ports, code, who=From(address="127.0.0.1")).token
        with ports.database.read() as work:
            for version in work.images.versions("tiny"):
                assert ports.store.check(version) is None
                assert ports.store.scrub(version) is None
    (moved,) = call(again, "image", "list")
    assert moved["name"] == "tiny"


def test_a_file_that_exists_is_not_touched(made: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    assert call(made, "backup", str(tmp_path / "mine"), code=2)["error"]["field"] == "file"
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert call(made, "backup", str(tmp_path / "no" / "folder"), code=2)["error"]["field"] == "file"


def test_a_damaged_version_is_not_backed_up_as_if_it_were_none(made: Path, tmp_path: Path) -> None:
    (disk,) = [path for path in (made / "images").rglob("*.qcow2") if "v2" in str(path)]
    content = disk.read_bytes()
    disk.chmod(0o600)
    disk.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        argv = [sys.executable, "-m", "labvirt", "--state", str(made), "--json", "backup", str(tmp_path / "b"), "--with-images"]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode != 0
        assert json.loads(done.stdout)["error"]["code"] == "image-damaged"
        assert list(tmp_path.iterdir()) == []
    finally:
        disk.write_bytes(content)
        disk.chmod(0o444)
    call(made, "backup", str(tmp_path / "b"), "--with-images")


KILLED = """
import os, signal, sys
from pathlib import Path
from labvirt import bootstrap
left, system_fsync = int(sys.argv[3]), os.fsync
def fsync(descriptor):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    system_fsync(descriptor)
os.fsync = fsync
bootstrap.restore(Path(sys.argv[1]), Path(sys.argv[2]), "root")
"""


@pytest.fixture(scope="module")
def backup(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "backup"
    call(made, "backup", str(path))
    return path


@pytest.mark.parametrize("after", [0, 3, 12, 20])
def test_a_restore_that_is_killed_leaves_nothing_that_looks_done(backup: Path, tmp_path: Path, after: int) -> None:
    into = tmp_path / "state"
    argv = [sys.executable, "-c", KILLED, str(backup), str(into), str(after)]
    killed = subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not into.exists()
    done = subprocess.run([*argv[:-1], "100000"], cwd=ROOT, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"state"}
    assert call(into, "lab", "list")[0]["name"] == "lab-a"


def test_the_database_of_a_newer_labvirt_is_refused(made: Path, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    from labvirt.archive import restoring
    from labvirt.contracts.archive import BackupFacts
    from labvirt.errors import DatabaseError

    def newer(stage: Path, facts: BackupFacts) -> None:
        with closing(sqlite3.connect(stage / "labvirt.db")) as raw:
            raw.execute("UPDATE alembic_version SET version_num = '9999'")
            raw.commit()
        from labvirt.bootstrap.opening import open_database

        open_database(stage).close()

    call(made, "backup", str(tmp_path / "b"))
    with pytest.raises(DatabaseError, match="newer LabVirt"):
        restoring.restore(tmp_path / "b", tmp_path / "state", newer)
    assert {path.name for path in tmp_path.iterdir()} == {"b"}
