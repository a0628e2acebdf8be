# SPDX-License-Identifier: MIT
"""An update on real guests while parts of it are killed: its session's QEMU, the engine in the canary and while sealing, everything.

Afterwards a version is published whole or the draft is kept; never half of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import MakeHouse
from tests.system.house import House, ended, special_address, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]

CHECK = """
def test_the_projector(guest):
    assert guest.run("test -e /no/such/projector").ok, "there is no projector"
"""
CHANGED_MIB = 60


@pytest.fixture(scope="module")
def house(make_house: MakeHouse, tiny: Path) -> House:
    house = make_house()
    house.set_up(tiny, 1)
    house.serve()
    return house


def _opened(house: House) -> tuple[str, str]:
    result = house.call("admin", "start", "tiny")["result"]
    return result["draft"], result["guest"]


def _pointer(house: House) -> int:
    return int(house.call("image", "show", "tiny")["published"])


def _draft(house: House, name: str) -> dict[str, Any]:
    found: dict[str, Any] = house.call("admin", "show", name)
    return found


def _job(house: House, kind: str = "publish") -> int:
    """The number of the one that is going on."""
    return int(wait_for(lambda: [job["number"] for job in house.call("job", "list") if job["kind"] == kind], f"a {kind} goes on")[0])


def _record_of(house: House, version: int) -> dict[str, str]:
    """What lies on this version's disk, asked by nobody's guest: its export is looked at."""
    target = house.folder / f"look-{version}.raw"
    house.call("image", "export", f"tiny:{version}", str(target), "--format", "raw")
    with target.open("rb") as disk:
        disk.seek(32 << 20)
        magic, *lines = disk.read(65536).rstrip(b"\0").decode().splitlines() or [""]
    target.unlink()
    assert magic in ("", "LABVIRT-KEPT-1")
    return dict(line.split(" ", 1) for line in lines)


def test_the_sessions_machine_dies_and_the_engine_dies_in_the_canary(house: House) -> None:
    draft, name = _opened(house)
    house.keep(name, "one", "before the fall")
    run, pid = house.row(name)["run"], house.machines()[name]
    house.kill(pid)
    wait_for(lambda: house.machines().get(name, pid) != pid, "it is started again", 60)
    wait_for(lambda: house.row(name)["state"] == "running", "it runs again", 60)
    assert house.row(name)["run"] != run
    assert _draft(house, draft)["state"] == "open"
    house.keep(name, "two", "after it")

    publish = house.begin("admin", "publish", draft, "--note", "survived")
    job, engine = _job(house), house.part("engine")
    wait_for(lambda: house.step_of(job).startswith("canary"), "the canary is tried", 90)
    house.kill(engine)
    done = ended(publish, 200)
    assert done.code == 0, (done, house.logs())
    assert (done.json["state"], done.json["attempts"]) == ("done", 2)
    assert _pointer(house) == 2
    assert _record_of(house, 2) == {"one": "before the fall", "two": "after it"}
    assert _record_of(house, 1) == {}
    house.wait_engine()
    house.verify_clean()


def test_the_engine_dies_while_it_seals(house: House) -> None:
    draft, name = _opened(house)
    house.keep(name, "three", "sealed twice")
    with house.serial_of(name) as line:
        output, status = line.shell(f"dd if=/dev/urandom of=/dev/vda bs=1M seek=40 count={CHANGED_MIB} conv=fsync 2>&1; echo", 120)
        assert status == 0, output
    publish = house.begin("admin", "publish", draft, "--override", "the canary is tried elsewhere", "--method", "flatten")
    job, engine = _job(house), house.part("engine")
    wait_for(lambda: house.step_of(job).startswith("sealing"), "it is sealed", 90)
    house.kill(engine)
    done = ended(publish, 120)
    assert done.code == 0, (done, house.logs())
    assert (done.json["state"], done.json["attempts"]) == ("done", 2)
    assert _pointer(house) == 3
    assert _record_of(house, 3)["three"] == "sealed twice"
    assert "the canary is tried elsewhere" in " ".join(entry["what"] for entry in house.call("audit", "list", "--subject", "tiny"))
    house.wait_engine()
    house.verify_clean()


def test_a_red_canary_publishes_nothing_but_with_a_reason(house: House, tmp_path: Path) -> None:
    check = tmp_path / "test_projector.py"
    check.write_text(CHECK)
    house.call("profile", "checks", "add", "tiny", str(check))
    draft, _ = _opened(house)
    red = house.run("admin", "publish", draft)
    assert red.code == 1, red
    assert "canary of tiny v4 is red" in red.sentence
    assert "projector" in red.sentence
    assert _pointer(house) == 3
    assert (_draft(house, draft)["state"], _draft(house, draft)["candidate"]) == ("kept", 4)
    seen = house.call("version", "show", "tiny", "4")
    assert (seen["stage"], seen["canary"]["green"]) == ("draft", False)
    assert [step["name"] for step in seen["canary"]["steps"] if not step["ok"]] == ["check test_projector.py::test_the_projector"]
    done = house.call("admin", "publish", draft, "--override", "the projector is being repaired")
    assert done["result"]["number"] == "4"  # what was sealed is not sealed again
    assert _pointer(house) == 4
    said = [entry["what"] for entry in house.call("audit", "list", "--subject", "tiny")]
    assert any("version 4 published by" in what and "the projector is being repaired" in what for what in said), said
    house.call("profile", "set", "tiny", "--no-checks")


@pytest.mark.timeout(600)
def test_two_teachers_and_a_power_cut(house: House) -> None:
    early, name = _opened(house)
    refused = house.run("admin", "start", "tiny")
    assert refused.code == 1
    assert f"({early})" in refused.sentence
    house.keep(name, "early", "bird")
    house.call("admin", "keep", early)
    late, other = _opened(house)
    house.keep(other, "late", "riser")
    run = house.row(other)["run"]
    house.kill_all()  # a session is open, and the lights go out
    assert house.processes() == {}
    house.serve()
    wait_for(lambda: (row := house.row(other))["run"] != run and row["state"] == "running", "the session goes on by itself", 90)
    assert _draft(house, late)["state"] == "open"
    assert house.records(special_address(other))["late"] == "riser"
    house.call("admin", "publish", late, "--override", "two teachers")
    assert _pointer(house) == 5
    second = house.run("admin", "publish", early)
    assert second.code == 1, second
    assert f"{early} began when v4 of tiny was published, and now it is v5: version 5 published by" in second.sentence
    assert (_draft(house, early)["state"], _draft(house, early)["overtaken"]) == ("kept", True)

    house.begin("admin", "publish", early, "--replace")
    job = _job(house)
    wait_for(lambda: house.step_of(job).startswith("canary"), "the canary is tried", 90)
    wait_for(house.machines, "the canary's machine is there")
    house.kill_all()
    assert house.processes() == {}
    assert _pointer(house) == 5
    assert _draft(house, early)["state"] == "publishing"
    house.serve()
    done = wait_for(lambda: (j := house.call("job", "show", str(job)))["ended"] and j, "the job goes on by itself", 200)
    assert (done["state"], done["attempts"]) == ("done", 2), (done, house.logs())
    assert _pointer(house) == 6
    assert _record_of(house, 6)["early"] == "bird"
    assert "late" not in _record_of(house, 6)
    assert _record_of(house, 5)["late"] == "riser"
    house.call("version", "rollback", "tiny")
    assert _pointer(house) == 5
    house.verify_clean()
