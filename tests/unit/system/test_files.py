# SPDX-License-Identifier: MIT
"""Files that are whole or absent, locks that die with their holder, sockets at any depth, and what is not followed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from labvirt.system import files, locks, machine, sockets, tap
from labvirt.system.process import Child


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    files.write_atomic(file, "one")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("one", 0o600)
    files.write_atomic(file, b"two", mode=0o444)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("two", 0o444)
    with pytest.raises(OSError, match="directory"):
        files.write_atomic(tmp_path, "three")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_private_folder_is_made_or_mended_and_never_a_link(tmp_path: Path) -> None:
    folder = files.private_folder(tmp_path / "a" / "b")
    folder.chmod(0o755)
    assert files.private_folder(folder).stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        files.private_folder(tmp_path / "link")


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "link").symlink_to(kept)
    for _ in range(2):
        files.remove_tree(gone)
    assert not gone.exists()
    assert (kept / "file").exists()


def test_only_ordinary_files_are_read(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("x" * 100 + "\nlast")
    assert files.read_tail(file, 4) == "last"
    assert files.read_bounded(file, 3) == b"xxx"
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for trap in ("link", "pipe", "missing"):
        assert files.read_tail(tmp_path / trap) == ""
        with pytest.raises(OSError, match=r".+"):
            files.read_bounded(tmp_path / trap, 3)


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = (
        f"from pathlib import Path; from labvirt.system import locks; l = locks.take(Path({str(path)!r})); print(1, flush=True); input()"
    )
    with subprocess.Popen((sys.executable, "-c", holder), stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert locks.take(path) is None
        process.kill()
        process.wait(30)
    with locks.take(path) or pytest.fail("the lock outlived its holder"):
        assert locks.take(path) is None
    assert locks.take(path, wait=True) is not None


def test_sockets_are_reached_at_any_depth(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    with sockets.listen_unix(deep / "s.sock") as listener:
        assert (deep / "s.sock").stat().st_mode & 0o777 == 0o600
        with sockets.connect_unix(deep / "s.sock", timeout=10) as client, listener.accept()[0] as server:
            client.sendall(b"hello")
            assert server.recv(5) == b"hello"
            assert sockets.peer_of(server) == sockets.Peer(pid=os.getpid(), uid=os.geteuid(), gid=os.getegid())
    with pytest.raises(ConnectionRefusedError):
        sockets.connect_unix(deep / "s.sock")
    with sockets.listen_unix(deep / "s.sock"), sockets.connect_unix(deep / "s.sock"):
        pass


def test_a_link_to_a_socket_is_no_socket(tmp_path: Path) -> None:
    with sockets.listen_unix(tmp_path / "real"):
        (tmp_path / "link").symlink_to(tmp_path / "real")
        (tmp_path / "file").touch()
        for trap in ("link", "file"):
            with pytest.raises(ConnectionRefusedError):
                sockets.connect_unix(tmp_path / trap)
        sockets.connect_unix(tmp_path / "real").close()


def test_handed_sockets_are_those_of_this_process(tmp_path: Path) -> None:
    assert sockets.handed_sockets({}, 7) == ()
    assert sockets.handed_sockets({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, 7) == ()
    script = (
        "import os; from labvirt.system.sockets import handed_sockets;"
        "found = handed_sockets(os.environ, os.getpid());"
        "print(len(found), found[0].getsockname()[1], os.get_inheritable(3), flush=True)"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ = {**os.environ, "LISTEN_FDS": "1"}
        argv = (sys.executable, "-c", script)
        child = Child(argv, descriptors=(listener.fileno(),), env=environ, log=tmp_path / "log")
        assert child.wait(60) == 0
        child.close()
        assert (tmp_path / "log").read_text() == f"1 {listener.getsockname()[1]} False\n"


def test_a_tap_that_is_missing_is_not_made() -> None:
    with pytest.raises(OSError, match="no such network interface"):
        tap.open_tap("lvtnever")
    with pytest.raises(OSError, match=r".+"):
        socket.if_nametoindex("lvtnever")


def test_the_machine_is_read(tmp_path: Path) -> None:
    load = machine.read_load(tmp_path)
    assert 0 < load.memory_available_mib <= load.memory_total_mib
    assert load.cpus >= 1
    assert load.disk_free_mib >= 0
    assert load.cpu_pressure is None or 0 <= load.cpu_pressure <= 100
    assert machine.boot_id() == machine.boot_id()
    assert machine.kernel_release()


def test_a_tree_of_any_depth_is_removed(tmp_path: Path) -> None:
    """A guest's QEMU may nest folders deeper than one process may open or call."""
    deep, outside = tmp_path / "deep", tmp_path / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "file").write_text("stays")
    deep.mkdir()
    place = os.open(deep, os.O_RDONLY | os.O_DIRECTORY)
    for number in range(3000):
        os.symlink(outside, "link", dir_fd=place)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=place))
        os.mkdir(f"{'d' * 100}{number % 7}", dir_fd=place)
        below = os.open(f"{'d' * 100}{number % 7}", os.O_RDONLY | os.O_DIRECTORY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    files.remove_tree(deep)
    assert not deep.exists()
    assert (outside / "file").read_text() == "stays"
    assert (outside / "folder").is_dir()
    files.remove_tree(outside)
    assert not outside.exists()
