# SPDX-License-Identifier: MIT
"""The agent's channel is held while nothing is said: as QEMU's, the listener here takes one at a time."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labvirt.contracts.hypervisor import AGENT_SOCKET
from labvirt.errors import AgentSilent
from labvirt.hypervisors.qemu.agent import AgentChannel
from tests.unit.hypervisors.test_guest_agent import ScriptedAgent

SECONDS = 20.0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / AGENT_SOCKET))
        listener.listen(1)
        listener.settimeout(SECONDS)
        yield listener


def waits(port: socket.socket) -> bool:
    """Somebody has connected who is not taken yet."""
    return bool(select.select([port], [], [], 0)[0])


@contextlib.contextmanager
def answering(port: socket.socket) -> Iterator[list[socket.socket]]:
    """Who connects is served to his end, and then the next."""
    taken: list[socket.socket] = []
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            if select.select([port], [], [], 0.02)[0]:
                connection, _ = port.accept()
                taken.append(connection)
                agent = ScriptedAgent(guest_info=b'{"return": {}}\n')
                with connection, connection.makefile("rb") as lines:
                    for line in lines:
                        connection.sendall(agent.answer(line.rstrip(b"\n")) or b"")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_held_and_let_go(port: socket.socket, tmp_path: Path) -> None:
    channel = AgentChannel(tmp_path, "lab-a-01")
    assert not waits(port)
    channel.hold()
    assert waits(port)
    holder, _ = port.accept()
    channel.hold()
    assert not waits(port)
    channel.let_go()
    assert holder.recv(1) == b""
    channel.hold()
    assert not waits(port)
    holder.close()


def test_left_to_others(port: socket.socket, tmp_path: Path) -> None:
    channel = AgentChannel(tmp_path, "lab-a-s01", held=False)
    channel.hold()
    with answering(port) as taken:
        for _ in range(2):
            with channel.conversation(SECONDS) as ask:
                assert ask("guest-info", {}) == {}
    assert len(taken) == 2


def test_a_conversation_is_held_on_what_was_held_and_another_follows(port: socket.socket, tmp_path: Path) -> None:
    channel = AgentChannel(tmp_path, "lab-a-01")
    channel.hold()
    with answering(port) as taken:
        for already in (1, 2):  # one that holds, and is not taken before who held it before has gone
            with channel.conversation(SECONDS) as ask:
                assert ask("guest-info", {}) == {}
                assert len(taken) == already
        channel.let_go()


def test_what_was_closed_meanwhile_is_made_anew(port: socket.socket, tmp_path: Path) -> None:
    channel = AgentChannel(tmp_path, "lab-a-01")
    channel.hold()
    port.accept()[0].close()
    with answering(port):
        with channel.conversation(SECONDS) as ask:
            assert ask("guest-info", {}) == {}
            channel.hold()  # it is in use
            assert not waits(port)
        channel.let_go()


def test_one_conversation_at_a_time(port: socket.socket, tmp_path: Path) -> None:
    channel = AgentChannel(tmp_path, "lab-a-01")
    with answering(port):
        with channel.conversation(SECONDS), pytest.raises(AgentSilent, match="others are talking to it"), channel.conversation(0.05):
            pass
        channel.let_go()


def test_nobody_there(tmp_path: Path) -> None:
    channel = AgentChannel(tmp_path, "lab-a-01")
    channel.hold()
    with pytest.raises(AgentSilent, match="nobody can be reached"), channel.conversation(1):
        pass
