# SPDX-License-Identifier: MIT
"""The engine over its socket: answers, watches, and guests at the door that nobody wants."""

from __future__ import annotations

import itertools
import json
import select
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest

from labvirt.contracts.engine import EngineLink
from labvirt.domain.console import ConsoleKind
from labvirt.domain.guest import Guest, GuestState, RunId, Wish
from labvirt.engine.published import Published
from labvirt.errors import EngineAway, GuestNotReady, HostNotReady, HypervisorError, NotAllowed, NotFound
from labvirt.link import client as client_module
from labvirt.link import server as server_module
from labvirt.link.client import EngineClient
from labvirt.link.codec import MAX_LINE
from labvirt.link.server import EngineServer
from labvirt.system.sockets import Peer, connect_unix
from labvirt.usecases import power
from tests.engine.simulated import SimLab, lab, until
from tests.engine.test_engine import ports_of, row


class Open:
    """A furnished lab with a running engine behind a socket."""

    def __init__(self, sim: SimLab) -> None:
        self.sim = sim
        self.path = sim.root / "engine.sock"
        self.client = EngineClient(self.path)

    def raw(self) -> socket.socket:
        return connect_unix(self.path, timeout=10)


@pytest.fixture
def open_engine(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setattr(server_module, "ALIVE_SECONDS", 0.1)
    sim.furnish(lab(seats=4), terminals=2)
    with sim.engine() as engine:
        server = EngineServer(engine, sim.root / "engine.sock")
        server.open()
        until(lambda: engine.status().driver)
        yield Open(sim)
        server.close()
        assert not (sim.root / "engine.sock").exists()


def hear(connection: socket.socket) -> dict[str, dict[str, str]]:
    line = b""
    while not line.endswith(b"\n"):
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionResetError
        line += chunk
    answer: dict[str, dict[str, str]] = json.loads(line)
    return answer


def test_every_verb_is_answered(open_engine: Open) -> None:
    client, sim = open_engine.client, open_engine.sim
    assert stat.S_IMODE(open_engine.path.stat().st_mode) == 0o600
    power.start(ports_of(sim, client), "lab-a-01")
    until(lambda: row(sim, "lab-a-01").ready)
    until(lambda: client.verify() == ())
    assert client.doctor() == (sim.examined,)
    status = client.status()
    assert (status.driver, status.queue, status.findings) == ("simulated", (), ())
    assert client.leases("lab-a") == ()
    sim.dhcp.ask("lab-a", lab().identity(1).mac)
    assert client.leases("lab-a")[0].address == IPv4Address("10.77.0.129")
    assert client.command_line("lab-a-01")[:2] == ("simulated", "lab-a-01.g1")
    shown = client.preview("tiny", "lab-a", 2)
    assert shown[:3] == ("simulated", "lab-a-02.g1", str(sim.root / "runs" / "lab-a-02.g1" / "overlay-0.qcow2"))
    assert shown[3].startswith(str(sim.root / "images" / "tiny"))
    with pytest.raises(NotFound):
        client.preview("tiny", "lab-x", 2)
    assert len(client.screenshot("lab-a-01")) == 700_004  # longer than a line
    client.reset("lab-a-01")
    assert client.mint_display("lab-a-01", IPv4Address("10.77.0.65")).port == 20001


def test_a_console_of_this_run_and_of_no_other(open_engine: Open) -> None:
    client, sim = open_engine.client, open_engine.sim
    power.start(ports_of(sim, client), "lab-a-01")
    until(lambda: row(sim, "lab-a-01").ready)
    run = row(sim, "lab-a-01").run
    assert run is not None
    with socket.socket(fileno=client.open_console(run, ConsoleKind.SERIAL)) as handed:
        with sim.hypervisor.consoles[run, ConsoleKind.SERIAL] as guest_end:
            guest_end.sendall(b"login: ")
            assert handed.recv(100) == b"login: "
        assert not handed.get_inheritable()
    with pytest.raises(GuestNotReady):
        client.open_console(replace(run, generation=run.generation + 1), ConsoleKind.SCREEN)
    with pytest.raises(NotFound):
        client.open_console(replace(run, guest="lab-a-09"), ConsoleKind.SCREEN)
    sim.hypervisor.refuse_console = HypervisorError("QEMU says no.", operation="console", subject="lab-a-01")
    with pytest.raises(HypervisorError, match="QEMU says no"):
        client.open_console(run, ConsoleKind.SCREEN)


def test_a_console_outlives_the_engine_that_kept_none_of_it(tmp_path: Path) -> None:
    ours, given = socket.socketpair()

    class Handing:
        def open_console(self, run: RunId, kind: ConsoleKind) -> int:
            return given.detach()

    server = EngineServer(cast(EngineLink, Handing()), tmp_path / "engine.sock")
    server.open()
    handed = socket.socket(fileno=EngineClient(tmp_path / "engine.sock").open_console(RunId("lab-a-01", 1), ConsoleKind.SCREEN))
    server.close()
    ours.settimeout(30)
    with ours:
        with handed:
            ours.sendall(b"picture")
            assert handed.recv(100) == b"picture"
            handed.sendall(b"key")
            assert ours.recv(100) == b"key"
        assert ours.recv(100) == b""  # that was the only other end


def test_errors_come_back_as_what_they_are(open_engine: Open) -> None:
    client = open_engine.client
    with pytest.raises(NotFound) as caught:
        client.reset("lab-a-01")
    assert (caught.value.noun, caught.value.name) == ("guest", "lab-a-01")
    power.start(ports_of(open_engine.sim, client), "lab-a-01")
    until(lambda: row(open_engine.sim, "lab-a-01").ready)
    open_engine.sim.hypervisor.reset = lambda run: (_ for _ in ()).throw(  # type: ignore[method-assign]
        HypervisorError("QEMU says no.", operation="reset", subject="lab-a-01")
    )
    with pytest.raises(HypervisorError) as refused:
        client.reset("lab-a-01")
    assert (str(refused.value), refused.value.subject) == ("QEMU says no.", "lab-a-01")
    open_engine.sim.hypervisor.end(row(open_engine.sim, "lab-a-01").run)  # type: ignore[arg-type]
    until(lambda: row(open_engine.sim, "lab-a-01").state is GuestState.WANTED)
    with pytest.raises(GuestNotReady):
        client.screenshot("lab-a-01")


def test_a_watch_tells_all_then_each_change_until_the_engine_goes(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    heard: list[str] = []
    gone = threading.Event()
    with sim.engine() as engine:
        server = EngineServer(engine, sim.root / "engine.sock")
        server.open()
        client = EngineClient(sim.root / "engine.sock")
        power.start(ports_of(sim, client), "lab-a-01")
        until(lambda: row(sim, "lab-a-01").ready)

        def watch() -> None:
            try:
                for change in client.watch():
                    heard.append(f"{change.guest.name} {change.guest.state}")
            except EngineAway:
                gone.set()

        watcher = threading.Thread(target=watch)
        watcher.start()
        until(lambda: heard == ["lab-a-01 running"])
        power.start(ports_of(sim, client), "lab-a-02")
        until(lambda: "lab-a-02 running" in heard)
    assert gone.wait(10)
    watcher.join(10)
    server.close()
    with pytest.raises(EngineAway, match=r"no engine\.sock"):
        client.status()


@pytest.mark.parametrize(
    "line",
    [
        b"garbage\n",
        b"[1]\n",
        b'{"verb": "explode"}\n',
        b'{"verb": "__init__"}\n',
        b'{"verb": ["status"]}\n',
        b'{"verb": "reset"}\n',
        b'{"verb": "reset", "arguments": [5]}\n',
        b'{"verb": "mint_display", "arguments": ["lab-a-01", "nowhere"]}\n',
        b'{"verb": "status", "more": 1}\n',
        b"\xff\xfe\n",
    ],
)
def test_garbage_is_refused_and_harms_nobody(open_engine: Open, line: bytes) -> None:
    with open_engine.raw() as connection:
        connection.sendall(line)
        assert hear(connection)["error"]["code"] == "invalid-input"
        assert connection.recv(1) == b""
    assert open_engine.client.status().driver == "simulated"


def test_a_huge_line_is_cut_off(open_engine: Open) -> None:
    with open_engine.raw() as connection:
        try:
            for _ in range(4):
                connection.sendall(b"x" * MAX_LINE)
            answer = hear(connection)
        except (BrokenPipeError, ConnectionResetError):
            answer = {"error": {"code": "invalid-input"}}  # it hung up while we were still talking
        assert answer["error"]["code"] == "invalid-input"
    assert open_engine.client.status().driver == "simulated"


def test_a_slow_asker_is_dropped_and_holds_up_nobody(open_engine: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "QUESTION_SECONDS", 0.3)
    with open_engine.raw() as connection:
        connection.sendall(b'{"verb": ')
        assert open_engine.client.status().driver == "simulated"
        assert connection.recv(1) == b""


def test_a_slow_watcher_is_dropped_and_the_engine_goes_on(sim: SimLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "SEND_SECONDS", 0.3)
    published = Published()
    guest = Guest(name="lab-01", lab="lab", seat=1, wish=Wish.RUNNING, generation=1, state=GuestState.WANTED, since=sim.clock.now())
    published.put(guest)
    server = EngineServer(published, tmp_path / "other.sock")  # type: ignore[arg-type]
    server.open()
    with connect_unix(tmp_path / "other.sock", timeout=10) as slow, connect_unix(tmp_path / "other.sock", timeout=10) as quick:
        for connection in (slow, quick):
            connection.sendall(b'{"verb": "watch"}\n')
        assert hear(quick)["item"]["guest"]
        numbers = itertools.count()

        def put() -> None:
            published.put(replace(guest, reason=f"{next(numbers)} " + "x" * 900))
            hear(quick)

        for _ in range(3000):  # more than any socket buffer holds, if it is not read
            put()
        dropped = select.poll()
        dropped.register(slow, select.POLLRDHUP)

        def gone() -> object:
            put()  # the quick one still hears
            return dropped.poll(0)

        until(gone)  # not a byte was read before it was dropped: reading would let it go on
        drain(slow)
    server.close()


def drain(connection: socket.socket) -> None:
    """Everything that was sent before we were dropped, and then the end."""
    while connection.recv(1 << 20):
        pass


def test_only_the_engines_user_and_root_get_in(sim: SimLab) -> None:
    sim.furnish(lab(seats=4))
    who = [Peer(pid=1, uid=54321, gid=0)]
    with sim.engine() as engine:
        server = EngineServer(engine, sim.root / "engine.sock", peer=lambda connection: who[0])
        server.open()
        client = EngineClient(sim.root / "engine.sock")
        until(lambda: engine.status().driver)
        with pytest.raises(NotAllowed):
            client.status()
        with pytest.raises(NotAllowed):
            next(iter(client.watch()))
        who[0] = Peer(pid=1, uid=0, gid=0)
        assert client.status().driver == "simulated"
        server.close()


def test_the_socket_of_a_dead_engine_is_replaced_and_of_a_living_one_is_not(open_engine: Open, tmp_path: Path) -> None:
    other = EngineServer(object(), open_engine.path)  # type: ignore[arg-type]
    with pytest.raises(HostNotReady, match="Another engine"):
        other.open()
    assert open_engine.client.status().driver == "simulated"
    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(dead))
    with pytest.raises(EngineAway, match="nobody listens"):
        EngineClient(dead).poke()
    replaced = EngineServer(open_engine.client, dead)
    replaced.open()
    EngineClient(dead).poke()
    replaced.close()


def test_an_engine_that_accepts_and_says_nothing_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(client_module.VERBS, "status", replace(client_module.VERBS["status"], seconds=0.2))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "engine.sock"))
        silent.listen()
        with pytest.raises(EngineAway, match="has not answered"):
            EngineClient(tmp_path / "engine.sock").status()


def test_watchers_that_go_away_leave_no_thread_behind(open_engine: Open) -> None:
    before = threading.active_count()
    for _ in range(10):
        with open_engine.raw() as connection:
            connection.sendall(b'{"verb": "watch"}\n')
    until(lambda: threading.active_count() <= before, says=lambda: [t.name for t in threading.enumerate()])
