# SPDX-License-Identifier: MIT
"""Four guests run while parts of the controller are killed, stopped, locked out of their database or robbed of it.

No desktop may notice: same process, same boot of the guest, uptime that grows. What is asked for afterwards is answered again.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system import netns
from tests.system.conftest import MakeHouse
from tests.system.house import House, guest, guest_address, mac, terminal_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

SEATS = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """What the guests were before a fault."""

    pids: dict[str, int]
    facts: dict[str, dict[str, Any]]

    def all_the_same(self, house: House, but: tuple[int, ...] = ()) -> None:
        """Each is the same process and the same boot, and its clock went on."""
        machines = house.machines()
        for seat in SEATS:
            if seat in but:
                continue
            name = guest(seat)
            now = house.facts(seat)
            assert machines[name] == self.pids[name], name
            assert now["boot_id"] == self.facts[name]["boot_id"], name
            assert now["uptime"] > self.facts[name]["uptime"], name


@pytest.fixture(scope="module")
def running(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, len(SEATS))
    house.serve()
    house.switch_on(len(SEATS))
    house.all_ready()
    return house


@pytest.fixture
def house(running: House) -> House:
    """With four guests that are ready; whatever a test did, the next one begins so."""
    running.all_ready()
    return running


def witness(house: House) -> Witness:
    return Witness(pids=house.machines(), facts=house.all_facts())


def answered_again(house: House) -> None:
    answers = [wait_for(lambda t=each: _asked(t), "the question is answered") for each in house.terminals]  # type: ignore[misc]
    assert [(a["status"], a["guest"]) for a in answers] == [("ready", guest(seat)) for seat in SEATS]


def _asked(terminal: Any) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, AssertionError):
        told: dict[str, Any] = terminal.ask()
        return told
    return None


@pytest.mark.timeout(600)
def test_kill_of_the_engine(house: House) -> None:
    before, engine, web = witness(house), house.part("engine"), house.part("web")
    history = len(house.call("audit", "list", "--count", "1000"))
    house.kill(engine)
    wait_for(lambda: house.gone(engine), "the engine is gone")
    assert house.run("verify").code in (0, 3)  # 3: it is away, and says so; 0: the next one is there already
    status = house.wait_engine()
    assert status["pid"] == house.part("engine") != engine
    assert house.part("web") == web
    house.verify_clean()
    before.all_the_same(house)
    answered_again(house)
    assert all(each.ticket().status == 200 for each in house.terminals)
    assert len(house.call("audit", "list", "--count", "1000")) == history  # nothing was started, stopped or adopted anew


def test_kill_of_the_web_process(house: House) -> None:
    before, engine, web = witness(house), house.part("engine"), house.part("web")
    house.kill(web)
    wait_for(lambda: house.gone(web) and house.part("web"), "web is there again")
    answered_again(house)
    assert house.part("engine") == engine
    house.verify_clean()
    before.all_the_same(house)


def test_kill_of_supervisor_engine_and_web(house: House) -> None:
    before = witness(house)
    parts = [house.part(name) for name in ("serve", "engine", "web")]
    assert all(parts)
    for pid in parts:
        with contextlib.suppress(AssertionError, ProcessLookupError):  # they end with their supervisor
            house.kill(pid)
    wait_for(lambda: all(house.gone(pid) for pid in parts), "all are gone")
    before.all_the_same(house)  # while nobody looks after them
    assert house.run("host", "show", "--engine").code == 3
    assert house.run("guest", "list").code == 0
    house.serve()
    house.verify_clean()
    before.all_the_same(house)
    answered_again(house)


def test_a_killed_supervisor_leaves_no_engine_behind_that_fights_the_next(house: House) -> None:
    before = witness(house)
    engine = house.part("engine")
    house.kill(house.part("serve"))
    wait_for(lambda: house.gone(engine) and not house.part("web"), "engine and web end with their supervisor")
    house.serve()
    before.all_the_same(house)
    house.verify_clean()


@pytest.mark.timeout(600)
def test_kill_of_one_guest(house: House) -> None:
    before = witness(house)
    old = house.guest(2)
    house.kill(house.machines()[guest(2)])
    wait_for(lambda: house.machines().get(guest(2), before.pids[guest(2)]) != before.pids[guest(2)], "a new machine is there", 60)
    house.all_ready()
    fresh = house.guest(2)
    assert fresh["run"] != old["run"]
    assert house.facts(2)["boot_id"] != before.facts[guest(2)]["boot_id"]
    assert house.facts(2)["mac"] == before.facts[guest(2)]["mac"]
    assert any("ended" in entry["what"] for entry in house.call("audit", "list", "--subject", guest(2)))
    before.all_the_same(house, but=(2,))
    house.verify_clean()


def test_kill_of_dnsmasq(house: House) -> None:
    before, server = witness(house), house.part("dnsmasq")
    leases = house.state / "networks" / "sys" / "leases"
    known = {tuple(line.split()[1:3]) for line in leases.read_text().splitlines()}
    house.kill(server)
    wait_for(lambda: house.gone(server) and house.part("dnsmasq"), "DHCP is served again")
    assert known <= {tuple(line.split()[1:3]) for line in leases.read_text().splitlines()}
    assert house.terminals[0].lease() == terminal_address(1)
    house.verify_clean()
    before.all_the_same(house)
    answered_again(house)


@pytest.mark.timeout(600)
def test_a_guest_that_is_stopped_by_a_signal_holds_up_nobody(house: House) -> None:
    before = witness(house)
    stuck = before.pids[guest(3)]
    house.kill(stuck, signal.SIGSTOP)
    try:
        row = wait_for(lambda: (r := house.guest(3))["state"] == "silent" and r, "it is seen to be silent")
        assert "answer" in row["reason"]
        told = house.terminals[2].ask()
        assert (told["status"], told["help_code"]) == ("failed", "LV-SILENT-03")
        assert house.terminals[2].ticket().status == 409
        assert house.terminals[0].ask()["status"] == "ready"
        assert house.terminals[0].ticket().status == 200
        house.call("guest", "stop", guest(4), "--how", "stop")
        wait_for(lambda: house.state_of(4) == "stopped", "another guest can be stopped")
        house.call("guest", "start", guest(4))
        wait_for(lambda: house.state_of(4) == "running", "another guest can be started", 60)
        assert house.machines()[guest(3)] == stuck
    finally:
        house.kill(stuck, signal.SIGCONT)
    wait_for(lambda: house.state_of(3) == "running", "it runs again")
    before.all_the_same(house, but=(4,))
    house.verify_clean()


def test_a_locked_database_delays_and_destroys_nothing(house: House) -> None:
    before = witness(house)
    with contextlib.closing(sqlite3.connect(house.state / "labvirt.db", timeout=10, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        refused = house.run("terminal", "set", "pc-1", "--note", "locked out")
        assert refused.code == 3, refused
        assert "busy" in refused.sentence
        assert house.terminals[0].ask()["status"] == "ready"  # reading goes on
        assert house.terminals[0].ticket().status == 200
        holder.execute("ROLLBACK")
    house.call("terminal", "set", "pc-1", "--note", "not any more")  # control
    house.verify_clean()
    before.all_the_same(house)


def test_a_database_that_cannot_be_written(house: House) -> None:
    """A read-only file system over the state folder would stop QEMU too; here only the database's own files are immutable."""
    before = witness(house)
    files = list(house.state.glob("labvirt.db*"))
    try:
        for file in files:
            netns.command("chattr", "+i", str(file))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this file system knows no immutable files: {error}")
    try:
        refused = house.run("terminal", "set", "pc-1", "--note", "cannot be written")
        assert refused.code == 3, refused
        assert "database" in refused.sentence
        time.sleep(6)  # more than one slow round of the engine
        before.all_the_same(house)
    finally:
        for file in files:
            netns.command("chattr", "-i", str(file))
    house.call("terminal", "set", "pc-1", "--note", "can be written")
    wait_for(lambda: house.run("verify").code == 0, "all is well again")
    before.all_the_same(house)
    answered_again(house)


@pytest.mark.timeout(600)
def test_an_empty_database_destroys_nothing(house: House) -> None:
    before = witness(house)
    with _served_with(house, None):
        assert house.call("guest", "list") == []
        found = {finding["subject"]: finding for finding in house.findings()}
        for seat in SEATS:
            run = next(subject for subject in found if subject.startswith(f"{guest(seat)}.g"))
            assert "left running" in found[run]["sentence"]
        assert any(finding["code"] == "database-empty" for finding in found.values())
        time.sleep(6)
        before.all_the_same(house)
    house.verify_clean()
    before.all_the_same(house)
    answered_again(house)


@pytest.mark.timeout(600)
def test_yesterdays_database_destroys_nothing(house: House, tmp_path: Path) -> None:
    """It was copied before the guests 3 and 4 were made."""
    before = witness(house)
    older = tmp_path / "yesterday.db"
    with contextlib.closing(sqlite3.connect(house.state / "labvirt.db")) as now, contextlib.closing(sqlite3.connect(older)) as copy:
        now.backup(copy)
        for name in (guest(3), guest(4)):
            _forget(copy, name)
        copy.commit()
    with _served_with(house, older):
        assert {row["name"] for row in house.call("guest", "list")} == {guest(1), guest(2)}
        subjects = {finding["subject"] for finding in house.findings()}
        assert {run.split(".")[0] for run in subjects if ".g" in run} >= {guest(3), guest(4)}
        assert house.terminals[0].ask()["status"] == "ready"
        time.sleep(6)
        before.all_the_same(house)
        # The seat is wanted again, and what runs there serves it: nothing is started anew.
        assert house.terminals[2].ask()["status"] in ("starting", "ready")
        wait_for(lambda: house.terminals[2].ask()["status"] == "ready", "the seat's running guest is adopted", 40)
        before.all_the_same(house)
    house.verify_clean()
    before.all_the_same(house)
    answered_again(house)


def _forget(database: sqlite3.Connection, name: str) -> None:
    """The guest's row and all that hangs on it are gone."""
    for (table,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        if table == "guests":
            database.execute("DELETE FROM guests WHERE name = ?", (name,))
        elif "guest" in columns:
            database.execute(f"DELETE FROM {table} WHERE guest = ?", (name,))  # noqa: S608 - the table's name is the schema's


@contextlib.contextmanager
def _served_with(house: House, database: Path | None) -> Iterator[None]:
    """The controller was stopped, and started with another database (None: one without labs, guests and images)."""
    _stop(house)
    aside = house.folder / "aside"
    aside.mkdir()
    for file in house.state.glob("labvirt.db*"):
        file.rename(aside / file.name)
    try:
        if database is None:
            house.call("init")
        else:
            shutil.copy(database, house.state / "labvirt.db")
        house.serve()
        yield
    finally:
        _stop(house)
        for file in house.state.glob("labvirt.db*"):
            file.unlink()
        for file in aside.iterdir():
            file.rename(house.state / file.name)
        aside.rmdir()
        house.serve()


def _stop(house: House) -> None:
    served = house.part("serve")
    if served:
        house.kill(served, signal.SIGTERM)
    wait_for(lambda: not any(house.part(name) for name in ("serve", "engine", "web")), "the controller has ended", 60)


def test_the_words_of_this_file_are_right() -> None:
    assert (mac(3), guest_address(3), terminal_address(3)) == ("52:54:00:5a:00:03", "10.78.0.131", "10.78.0.67")
