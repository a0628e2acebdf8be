# SPDX-License-Identifier: MIT
"""If-Match is compared in the transaction of the change: whoever writes between looking and changing, from whichever process, is seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import time as clock
from typing import Any

import pytest
from flask.testing import FlaskClient

from labvirt.contracts.database import UnitOfWork
from labvirt.domain.caller import Grant
from labvirt.domain.power_policy import OnPowerOff
from labvirt.domain.right import Right, Role
from labvirt.usecases import groups, labs, people, pools, power_times, profiles, terminals, tokens
from labvirt.usecases.ports import Ports
from labvirt.web.api.compared import compared
from labvirt.web.api.problem import ChangedMeanwhile
from tests.fakes.ports import ports_in

from .conftest import ROOT, Api, client_of

ROUNDS = 12
CHANGES: tuple[tuple[str, str, dict[str, Any], Callable[[Ports], object]], ...] = (
    ("PATCH", "/labs/lab-a", {"note": "mine"}, lambda other: labs.change(other, "lab-a", note="theirs")),
    ("PATCH", "/terminals/lab-a-t01", {"note": "mine"}, lambda other: terminals.change(other, "lab-a-t01", note="theirs")),
    ("DELETE", "/terminals/lab-a-t04", {}, lambda other: terminals.change(other, "lab-a-t04", note="theirs")),
    ("PATCH", "/profiles/desktop", {"memory_mib": 64}, lambda other: profiles.change(other, "desktop", memory_mib=96)),
    (
        "PATCH",
        "/labs/lab-a/power",
        {"on": "07:30", "on_power_off": "keep"},
        lambda other: power_times.change(other, "lab-a", on_power_off=OnPowerOff.STOP, off=clock(18, 0)),
    ),
    ("PUT", "/labs/lab-a/pools/desktop", {"ready": 1}, lambda other: pools.put(other, "lab-a", "desktop", ready=2)),
    ("DELETE", "/labs/lab-a/pools/desktop", {}, lambda other: pools.put(other, "lab-a", "desktop", ready=2)),
    ("PATCH", "/people/anna", {"grants": []}, lambda other: people.change(other, "anna", full_name="Anna")),
    ("PATCH", "/groups/chemistry", {"note": "mine"}, lambda other: groups.change(other, "chemistry", note="theirs")),
    ("DELETE", "/groups/chemistry", {}, lambda other: groups.change(other, "chemistry", note="theirs")),
)


class Crossed:
    """A database in which somebody else writes just before the next writer has his turn."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.crossing: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        crossing, self.crossing = self.crossing, None
        if crossing is not None:
            crossing()
        with self.real.write() as work:
            yield work


@pytest.fixture
def other(api: Api) -> Iterator[Ports]:
    """The doors of another process of the same site."""
    ports = ports_in(api.ports.database._path.parent, clock=api.clock)  # type: ignore[attr-defined]
    yield ports
    ports.database.close()


def header_of(api: Api) -> dict[str, str]:
    """An administrator's token that may change people; Anna and a group are there."""
    people.add(api.ports, "boss", grants=(Grant(Role.ADMINISTRATOR),))
    people.add(api.ports, "anna", grants=(Grant(Role.TEACHER),))
    groups.add(api.ports, "chemistry")
    rights = frozenset(Right)
    return {"Authorization": f"Bearer {tokens.add(api.ports, 'own', person='boss', rights=rights).secret}"}


@pytest.mark.parametrize("method, path, told, theirs", CHANGES)
def test_who_writes_between_looking_and_changing_is_not_overwritten(
    api: Api, other: Ports, method: str, path: str, told: dict[str, Any], theirs: Callable[[Ports], object]
) -> None:
    said = header_of(api)
    database = Crossed(api.ports.database)
    _, client = client_of(replace(api.ports, database=database), signed_in=False)
    client.get(ROOT + path, headers=said)  # that the token is used is written down now, not while we look
    tag = client.get(ROOT + path, headers=said).headers["ETag"]
    body = {"json": told} if method != "DELETE" else {}

    def send(tag: str) -> int:
        return client.open(ROOT + path, method=method, headers={**said, "If-Match": tag}, **body).status_code

    database.crossing = lambda: theirs(other)
    assert send(tag) == 412
    assert database.crossing is None  # they really came between
    now = client.get(ROOT + path, headers=said)
    assert (now.status_code, now.headers["ETag"] != tag) == (200, True)
    assert send(now.headers["ETag"]) in (200, 204)  # the positive control


def test_times_and_policy_of_a_lab_are_one_change(api: Api) -> None:
    class Counted(Crossed):
        writes = 0

        @contextmanager
        def write(self) -> Iterator[UnitOfWork]:
            self.writes += 1
            with self.real.write() as work:
                yield work

    said = header_of(api)
    database = Counted(api.ports.database)
    _, client = client_of(replace(api.ports, database=database), signed_in=False)
    path = f"{ROOT}/labs/lab-a/power"
    client.get(path, headers=said)
    for told, good in (
        ({"on": "07:30", "off": "18:00", "on_power_off": "keep"}, True),
        ({"on": "08:30", "on_power_off": "stop", "grace_seconds": -1}, False),  # one part is not good: none of it
        ({"on": "08:30", "on_power_off": "stop", "grace_seconds": 1}, True),
    ):
        before, database.writes = client.get(path, headers=said).json, 0
        status = client.patch(path, headers=said, json=told).status_code
        after = client.get(path, headers=said).json
        assert before is not None
        assert after is not None
        if good:
            assert (status, database.writes, {name: after[name] for name in told}) == (200, 1, told)
        else:
            assert (status >= 400, after) == (True, before)
    with api.ports.database.read() as work:
        last = next(each for each in work.audit.last(20, "lab-a") if each.verb == "change")
    assert (last.before["on_power_off"], last.after["on_power_off"], "on" in last.after) == ("keep", "stop", True)


def test_of_two_who_write_at_once_from_two_processes_exactly_one_wins(api: Api, other: Ports) -> None:
    said = header_of(api)
    clients: list[FlaskClient] = [client_of(ports, signed_in=False)[1] for ports in (api.ports, other)]
    for number in range(ROUNDS):
        tag = clients[0].get(f"{ROOT}/labs/lab-a", headers=said).headers["ETag"]
        begin, statuses = threading.Barrier(2), dict[int, int]()

        def change(
            which: int, number: int = number, tag: str = tag, begin: threading.Barrier = begin, statuses: dict[int, int] = statuses
        ) -> None:
            begin.wait()
            told = {"note": f"{number} of {which}"}
            statuses[which] = clients[which].patch(f"{ROOT}/labs/lab-a", json=told, headers={**said, "If-Match": tag}).status_code

        threads = [threading.Thread(target=change, args=(which,)) for which in (0, 1)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(statuses.values()) == [200, 412]
        winner = next(which for which, status in statuses.items() if status == 200)
        assert labs.one(other, "lab-a").note == f"{number} of {winner}"


def test_what_others_wrote_into_the_same_transaction_is_seen(api: Api) -> None:
    """Writers of one process share a commit (database/turns.py): the second looks before the first is durable."""
    seen: list[str] = []

    def look(through: Ports) -> None:
        seen.append(labs.one(through, "lab-a").note)
        with pytest.raises(TypeError), through.database.write():
            pass

    inside, written = threading.Event(), threading.Event()

    def first() -> None:
        with api.ports.database.write() as work:
            inside.set()
            written.wait(10)
            work.labs.update(replace(work.labs.one("lab-a"), note="theirs"))
            work.commit()

    thread = threading.Thread(target=first)
    thread.start()
    inside.wait(10)
    changing = threading.Thread(target=lambda: labs.change(compared(api.ports, look), "lab-a", leave_grace_seconds=90))
    changing.start()
    while not api.ports.database._turns._queue and changing.is_alive():  # type: ignore[attr-defined]
        time.sleep(0.01)
    written.set()
    thread.join()
    changing.join()
    assert seen == ["theirs"]
    kept = labs.one(api.ports, "lab-a")
    assert (kept.note, kept.leave_grace_seconds) == ("theirs", 90)


def test_refused_within_the_transaction_nothing_is_kept(api: Api) -> None:
    def look(through: Ports) -> None:
        raise ChangedMeanwhile

    with pytest.raises(ChangedMeanwhile):
        labs.change(compared(api.ports, look), "lab-a", note="mine")
    assert labs.one(api.ports, "lab-a").note == ""
    assert labs.change(compared(api.ports, lambda through: None), "lab-a", note="mine").note == "mine"
