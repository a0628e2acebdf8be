# SPDX-License-Identifier: MIT
"""A name is held by one: not by a second thread, not by a second process, and by nobody when its holder dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from labvirt.errors import HostNotReady
from labvirt.system.named_locks import NamedLocks

ROOT = Path(__file__).parents[3]
PATIENCE = 60

HOLD = """
import sys, threading
from pathlib import Path
from labvirt.system.named_locks import NamedLocks
held = NamedLocks(Path(sys.argv[1])).take("job-7")
with held:
    print("held", flush=True)
    threading.Event().wait(600)
"""


@pytest.fixture
def locks(tmp_path: Path) -> NamedLocks:
    return NamedLocks(tmp_path)


def taken(locks: NamedLocks, name: str) -> bool:
    held = locks.take(name)
    if held is not None:
        with held:
            return False
    return True


def in_another_thread(locks: NamedLocks, name: str) -> bool:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(taken(locks, name)))
    thread.start()
    thread.join(PATIENCE)
    return found[0]


def test_one_holds_it_until_the_block_ends(locks: NamedLocks, tmp_path: Path) -> None:
    held = locks.take("job-7")
    assert held is not None
    with held:
        assert taken(locks, "job-7")
        assert in_another_thread(locks, "job-7")
        assert taken(NamedLocks(tmp_path), "job-7")
        assert not taken(locks, "job-8")
        assert [path.name for path in tmp_path.iterdir()] == ["job-7.lock"]
    assert not in_another_thread(locks, "job-7")
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_block_lets_go(locks: NamedLocks) -> None:
    held = locks.take("tiny")
    assert held is not None
    with pytest.raises(RuntimeError), held:
        raise RuntimeError
    assert not taken(locks, "tiny")


def test_it_dies_with_its_process(locks: NamedLocks, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert taken(locks, "job-7")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    assert (tmp_path / "job-7.lock").exists(), "a file that lies there says nothing"
    assert not taken(locks, "job-7")


def test_many_who_take_and_let_go_never_hold_it_together(locks: NamedLocks, tmp_path: Path) -> None:
    """Each release removes the file: whoever opened the removed one must not believe that he holds the name."""
    inside: list[int] = []
    together: list[int] = []
    had: list[int] = []

    def one(number: int) -> None:
        mine = 0
        for _ in range(3000):
            held = locks.take("x")
            if held is None:
                continue
            with held:
                inside.append(number)
                if len(inside) != 1:
                    together.append(number)
                inside.remove(number)
                mine += 1
        had.append(mine)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert together == []
    assert sum(had) > 1000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "x" * 101, ".hidden", "a\n"])
def test_what_is_no_name_is_refused(locks: NamedLocks, name: str) -> None:
    with pytest.raises(ValueError, match="is not the name"):
        locks.take(name)
    assert not taken(locks, "a-1.b")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(HostNotReady, match="locks"):
        NamedLocks(tmp_path / "locks").take("x")
    (tmp_path / "locks").mkdir()
    assert not taken(NamedLocks(tmp_path / "locks"), "x")


def test_a_link_in_its_place_is_not_followed(locks: NamedLocks, tmp_path: Path) -> None:
    (tmp_path / "x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostNotReady):
        locks.take("x")
    assert not (tmp_path / "elsewhere").exists()
    assert not taken(locks, "y")
