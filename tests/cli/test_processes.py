# SPDX-License-Identifier: MIT
"""`labvirt` as programs: what it imports, `serve` with the fake drivers, what it survives and how it ends. No root,
no QEMU.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labvirt.link.client import EngineClient

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def labvirt(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labvirt", "--state", str(state), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)


def told(state: Path, *words: str) -> Any:
    result = labvirt(state, "--json", *words)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def eventually(look: Any) -> Any:
    """The first true answer; an exception of the last try otherwise."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            found = look()
            if found:
                return found
        except (OSError, AssertionError, KeyError):
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


class Served:
    def __init__(self, state: Path, *words: str) -> None:
        self.state = state
        self.log = state.parent / "serve.log"
        command = [sys.executable, "-m", "labvirt", "--state", str(state), "serve", *(words or ("--listen", "127.0.0.1:0"))]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    @property
    def url(self) -> str:
        found = eventually(lambda: re.search(r"http://[0-9.]+:[0-9]+/", self.log.read_text()))
        return str(found[0])

    def ask(self, query: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}terminals/config?format=json&{query}", timeout=30) as answer:  # noqa: S310 - ours
            return dict(json.load(answer))

    def children(self) -> dict[str, int]:
        """Name of the program -> its pid."""
        found = {}
        for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
            if words[-2:-1] in (["engine"], ["web"]):  # not yet, or no longer: setpriv before exec, and a corpse
                found[words[-2]] = int(child)
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            finally:
                self.process.kill()
        self.process.wait()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    told(folder, "init", "--hypervisor", "fake")
    return folder


@pytest.fixture
def served(state: Path) -> Iterator[Served]:
    running = Served(state)
    yield running
    running.end()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_help_imports_nothing_heavy() -> None:
    program = """
import sys
from labvirt.bootstrap import app
from labvirt.cli.main import Root
try:
    Root(app()).main(["--help"])
finally:
    heavy = {"sqlalchemy", "alembic", "pydantic", "flask", "uvicorn", "rich.console", "pyroute2", "qemu", "libvirt", "cryptography"}
    sys.stderr.write(",".join(sorted(heavy & set(sys.modules))) + ";click" * ("click" in sys.modules))
"""
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0
    assert result.stderr == ";click"


def test_a_terminal_is_served_by_two_processes_and_both_survive_their_death(state: Path, served: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    told(state, "lab", "add", "lab-a", "--network", "10.77.0.0/24")
    told(state, "image", "import", "tiny", str(disk), "--format", "raw")
    told(state, "profile", "add", "desk", "--memory", "64", "--disk", "tiny:virtio")
    told(state, "terminal", "add", "pc-01", "--lab", "lab-a", "--mac", "52:54:00:00:00:01")
    eventually(lambda: served.ask("id=52:54:00:00:00:01&wait=1")["status"] == "ready")
    ready = served.ask("id=pc-01&wait=0")
    assert (ready["guest"], ready["port"], ready["secret"]) == ("lab-a-01", 20001, "ticket")
    run = told(state, "guest", "show", "pc-01")["run"]
    explained = told(state, "guest", "explain", "pc-01")
    assert explained["command_line"] or explained["command_problem"]

    for victim in ("engine", "web"):
        before = served.children()
        os.kill(before[victim], signal.SIGKILL)
        eventually(lambda before=before, victim=victim: served.children().get(victim, before[victim]) != before[victim])
        other = "web" if victim == "engine" else "engine"
        assert served.children()[other] == before[other]
    eventually(lambda: served.ask("id=pc-01&wait=0")["status"] == "ready")
    eventually(lambda: labvirt(state, "verify").returncode != 3)
    by_engine = {each.code for each in EngineClient(state / "engine.sock").doctor()}
    assert by_engine == {each["code"] for each in json.loads(labvirt(state, "--json", "doctor").stdout)["findings"]} >= {"memory", "disk"}
    assert told(state, "guest", "show", "pc-01")["run"] == run

    pids = served.children().values()
    served.process.terminate()
    assert served.process.wait(PATIENCE) == 0
    assert not any(alive(pid) for pid in pids)
    assert labvirt(state, "verify").returncode == 3


@pytest.mark.timeout(400)  # some thirty calls of a program
def test_a_teacher_updates_publishes_and_undoes_while_a_class_runs(state: Path, served: Served, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    told(state, "lab", "add", "lab-a", "--network", "10.77.0.0/24")
    assert told(state, "image", "import", "tiny", str(disk), "--format", "raw")["result"]["version"] == "tiny v1"
    told(state, "profile", "add", "desk", "--memory", "64", "--disk", "tiny:virtio")
    told(state, "terminal", "add", "pc-01", "--lab", "lab-a", "--mac", "52:54:00:00:00:01")
    told(state, "guest", "start", "pc-01")
    eventually(lambda: told(state, "guest", "show", "pc-01")["ready"])

    refused = labvirt(state, "--json", "admin", "start", "desk")
    assert refused.returncode == 1
    assert "refuses" in json.loads(refused.stdout)["error"]["sentence"]
    told(state, "profile", "set", "desk", "--session-policy", "alongside")
    opened = told(state, "admin", "start", "desk")
    assert (opened["state"], opened["result"]) == ("done", {"draft": "tiny.d1", "guest": "lab-a-s01"})
    (session,) = told(state, "overview")["sessions"]
    assert (session["name"], session["guest_state"], session["overtaken"]) == ("tiny.d1", "running", False)
    assert "session tiny.d1: open" in labvirt(state, "host", "show").stdout
    text = labvirt(state, "admin", "show", "tiny").stdout
    assert "next: labvirt admin publish tiny.d1" in text

    assert told(state, "admin", "keep", "tiny")["state"] == "kept"
    eventually(lambda: told(state, "admin", "show", "tiny")["guest"] is None)
    assert told(state, "admin", "start", "--draft", "tiny.d1")["result"]["draft"] == "tiny.d1"
    published = labvirt(state, "admin", "publish", "tiny", "--note", "a new printer")
    assert (published.returncode, published.stdout.splitlines()[0]) == (0, "tiny v2 is published. Seats take it at their next start.")
    assert published.stderr.startswith("publish tiny.d1 (job ")
    version = told(state, "version", "show", "tiny", "2")
    assert (version["stage"], version["note"], version["canary"]["green"]) == ("published", "a new printer", True)
    (old,) = told(state, "guest", "restart-old", "--dry-run")
    assert old["guest"] == "lab-a-01"
    assert told(state, "version", "rollback", "tiny")["published"] == 1
    assert told(state, "version", "test", "tiny", "2")["result"]["green"] == "yes"
    assert told(state, "guest", "show", "pc-01")["disks"][0]["version"] == 1

    told(state, "admin", "start", "desk")
    assert told(state, "admin", "discard", "tiny")["state"] == "discarded"
    assert told(state, "admin", "restore", "tiny.d2")["state"] == "kept"


def test_children_end_when_the_supervisor_is_killed(served: Served) -> None:
    eventually(lambda: len(served.children()) == 2)
    pids = tuple(served.children().values())
    eventually(lambda: served.ask("id=x&wait=0"))
    served.process.kill()
    served.process.wait()
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_a_second_serve_and_a_taken_port_are_said(state: Path, served: Served, tmp_path: Path) -> None:
    eventually(lambda: served.ask("id=x&wait=0"))
    second = labvirt(state, "serve", "--listen", "127.0.0.1:0")
    assert second.returncode == 1
    assert "served already" in second.stderr
    other = tmp_path / "other"
    told(other, "init", "--hypervisor", "fake")
    address = served.url.removeprefix("http://").rstrip("/")
    taken = labvirt(other, "serve", "--listen", address, "--json")
    assert taken.returncode == 3
    assert f"{address} is in use" in json.loads(taken.stdout)["error"]["sentence"]
    assert "ss -ltnp" in taken.stderr


@pytest.mark.parametrize(
    "where, code",
    [
        ("nonsense", 2),
        ("127.0.0.1:99999", 2),
        (":80", 2),
        ("203.0.113.1:8080", 3),
        ("no.such.host.invalid:80", 2),
        ("unix:/no/such/folder/x", 3),
    ],
)
def test_addresses_that_cannot_be_listened_on(state: Path, where: str, code: int) -> None:
    result = labvirt(state, "serve", "--listen", where)
    assert result.returncode == code
    assert result.stderr.startswith("labvirt: ")
    assert "Traceback" not in result.stderr


def test_sockets_may_be_handed_in_and_a_unix_socket_be_listened_on(state: Path, tmp_path: Path) -> None:
    page = socket.create_server(("127.0.0.1", 0))
    path = tmp_path / "web.sock"
    command = [sys.executable, "-m", "labvirt", "--state", str(state), "serve", "--listen", f"unix:{path}"]
    script = f'exec 3<&{page.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$; export LISTEN_FDS LISTEN_PID; exec "$@"'
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(["bash", "-c", script, "x", *command], cwd=ROOT, stdout=log, stderr=log, pass_fds=(page.fileno(),))
    port = page.getsockname()[1]
    page.close()
    try:

        def answers() -> bool:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/terminals/config?id=x&wait=0", timeout=5) as answer:
                return b"status=unknown" in answer.read()

        assert eventually(answers)
        unix = socket.socket(socket.AF_UNIX)
        unix.settimeout(10)
        unix.connect(str(path))
        unix.sendall(b"GET /terminals/config?id=x&wait=0 HTTP/1.0\r\n\r\n")
        assert b"200" in unix.recv(100)
        unix.close()
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_an_engine_that_cannot_run_ends_serve_with_its_sentence(state: Path) -> None:
    (state / "labvirt.toml").write_text('hypervisor = "fake"\nreconcile_seconds = "often"\n')
    result = labvirt(state, "serve", "--listen", "127.0.0.1:0")
    assert result.returncode == 2
    assert "reconcile_seconds" in result.stderr
    assert "labvirt.toml" in result.stderr
