# SPDX-License-Identifier: MIT
"""The small parts of the engine: published changes, operations, asking aside, waiting for ports."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest

from labvirt.contracts.engine import Presence
from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.engine.aside import Aside
from labvirt.engine.operations import Operations
from labvirt.engine.published import Published
from labvirt.engine.readiness import tcp_probe
from labvirt.errors import DriverTimeout, EngineAway, HypervisorError, OperationInProgress

T0 = datetime(2026, 1, 1, tzinfo=UTC)
GUEST = Guest(name="lab-01", lab="lab", seat=1, wish=Wish.RUNNING, generation=2, state=GuestState.WANTED, since=T0)


def test_a_watcher_hears_everybody_first_then_the_latest_of_each() -> None:
    published = Published()
    published.put(GUEST)
    watch = published.watch()
    assert next(watch).guest == GUEST
    for number in range(1000):
        published.put(replace(GUEST, reason=f"place {number}"))
    published.put(replace(GUEST, name="lab-02"))
    assert next(watch).guest.reason == "place 999"
    assert next(watch).guest.name == "lab-02"
    published.presence(Presence(guest="lab-02", display=True, flow=False))
    assert next(watch).presence.display
    published.close()
    with pytest.raises(EngineAway):
        next(watch)
    with pytest.raises(EngineAway):
        published.watch()


def test_what_was_read_long_ago_is_no_news() -> None:
    published = Published()
    published.put(GUEST)
    published.put(replace(GUEST, generation=1), sure=False)
    assert published.guest("lab-01") == GUEST
    published.put(replace(GUEST, generation=1))  # the control: a restored database is believed
    found = published.guest("lab-01")
    assert found is not None
    assert found.generation == 1


def test_one_operation_per_guest_with_its_name() -> None:
    ended: list[str] = []
    operations = Operations(2, ended.append)
    gate = threading.Event()
    assert operations.submit("lab-01", "it is being started", lambda: gate.wait(10) and None)
    before = operations.marks()
    with pytest.raises(OperationInProgress, match="lab-01 is busy: it is being started"), operations.one("lab-01", "x"):
        pass
    assert not operations.submit("lab-01", "x", lambda: None)
    with operations.one("lab-02", "y"):
        assert operations.busy() == {"lab-01", "lab-02"}
    assert operations.marks()["lab-02"] != before.get("lab-02", 0)
    gate.set()
    assert operations.close(10)
    assert sorted(ended) == ["lab-01", "lab-02"]
    assert not operations.submit("lab-03", "x", lambda: None)


def test_a_mistake_in_an_operation_ends_that_operation_only(caplog: pytest.LogCaptureFixture) -> None:
    operations = Operations(1, lambda guest: None)
    done = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError

    def refuse() -> None:
        raise HypervisorError("no")

    operations.submit("lab-01", "a", fail)
    operations.submit("lab-02", "b", refuse)
    operations.submit("lab-03", "c", done.set)
    assert done.wait(10)
    assert operations.close(10)
    assert "ZeroDivisionError" in caplog.text
    assert "lab-02: b: no" in caplog.text


def test_who_does_not_answer_is_not_waited_for_nor_asked_twice() -> None:
    aside, gate = Aside("hypervisor"), threading.Event()
    assert aside.call(lambda: 5, 10) == 5
    with pytest.raises(HypervisorError):
        aside.call(lambda: (_ for _ in ()).throw(HypervisorError("no")), 10)
    with pytest.raises(DriverTimeout, match="has not answered"):
        aside.call(lambda: gate.wait(20), 0.05)
    with pytest.raises(DriverTimeout, match="still"):
        aside.call(lambda: 5, 10)
    gate.set()
    for _ in range(500):
        if not any(thread.name == "ask-hypervisor" for thread in threading.enumerate()):
            break
        threading.Event().wait(0.01)
    assert aside.call(lambda: 6, 10) == 6


def test_ports_that_answer_are_told_from_those_that_do_not() -> None:
    here = IPv4Address("127.0.0.1")
    with socket.socket() as open_one, socket.socket() as closed:
        for one in (open_one, closed):
            one.bind(("127.0.0.1", 0))
        open_one.listen()
        yes, no = (here, open_one.getsockname()[1]), (here, closed.getsockname()[1])
        assert tcp_probe([yes, no, yes]) == {yes}
        assert tcp_probe([]) == frozenset()
