# SPDX-License-Identifier: MIT
"""labvirt pool: what waits is set, told and taken away."""

from __future__ import annotations

from labvirt.contracts.engine import PoolStatus
from labvirt.domain.pool import SpareKind
from tests.cli.conftest import Line


def furnish(line: Line) -> None:
    line.json("profile", "set", "desk", "--instant-clone")


def test_a_pool_is_set_listed_and_removed(line: Line) -> None:
    furnish(line)
    assert "labvirt pool set lab-a PROFILE" in line.run("pool", "list", "lab-a").stdout
    told = line.json("pool", "set", "lab-a", "desk", "--ready", "1", "--paused", "4", "--minutes", "30")
    assert told == {"lab": "lab-a", "profile": "desk", "ready": 1, "paused": 4, "prespawned": 0, "minutes": 30}
    said = line.run("pool", "set", "lab-a", "desk", "--paused", "4").stdout  # what is not named is 0
    assert said == "Of desk there wait in lab-a: 4 paused; each is made anew after 240 minutes.\n"
    served = (("ready", 0), ("paused", 7), ("boot", 1))
    line.engine.warm = (PoolStatus(lab="lab-a", profile="desk", waiting=((SpareKind.PAUSED, 3),), served=served, holds="it is short"),)
    listed = line.run("pool", "list", "lab-a").stdout.splitlines()
    assert listed[0].split() == ["PROFILE", "READY", "PAUSED", "PRESPAWNED", "SERVED", "WAITS", "FOR"]
    assert listed[1].split() == ["desk", "-", "3", "of", "4", "-", "paused", "7,", "boot", "1", "it", "is", "short"]
    (one,) = line.json("pool", "list", "lab-a")
    assert (one["paused"], one["waiting"], one["served"]["paused"], one["holds"]) == (4, {"paused": 3}, 7, "it is short")
    line.engine.away = True
    assert "the engine does not answer" in line.run("pool", "list", "lab-a").stdout
    assert line.json("pool", "list", "lab-a")[0]["waiting"] is None
    assert line.run("pool", "remove", "lab-a", "desk").stdout == "No desk waits in lab-a any more.\n"
    assert line.json("pool", "list", "lab-a") == []


def test_what_cannot_wait(line: Line) -> None:
    furnish(line)
    line.json("profile", "set", "desk", "--no-instant-clone")
    refused = line.json("pool", "set", "lab-a", "desk", "--paused", "1", code=2)["error"]
    assert (refused["field"], refused["hint"]) == ("paused", "labvirt profile set desk --instant-clone")
    assert line.json("pool", "set", "lab-a", "desk", "--ready", "9", code=2)["error"]["field"] == "ready"
    assert line.json("pool", "set", "lab-a", "nobody", "--ready", "1", code=1)["error"]["code"] == "not-found"
    assert line.json("pool", "set", "lab-a", "desk", "--ready", "8")["ready"] == 8
