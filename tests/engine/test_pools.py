# SPDX-License-Identifier: MIT
"""Warm pools as the engine keeps them: made, served in their order, made anew, drained, given up. Over the fake's clones; real QEMU:
tests/system/test_warm_pools.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import GuestState, RunId
from labvirt.domain.pool import Pool, Spare, SpareKind
from labvirt.engine.main import Engine
from labvirt.hypervisors.fake import FakeHypervisor
from labvirt.usecases import power, profiles
from tests.engine.simulated import SimLab, lab, until
from tests.engine.test_templates import guest, has_template, opted, started


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimLab]:
    made = SimLab(tmp_path)
    made.limits = replace(made.limits, template_settle_seconds=0.2, template_seconds=120)
    made.hypervisor = FakeHypervisor(tmp_path / "fake" / "hypervisor.json", templates=tmp_path / "templates")  # type: ignore[assignment]
    opted(made)
    with made.engine(jobs=True) as engine:
        has_template(made, engine, "tiny.t1")
        until(lambda: not made.hypervisor.running() and engine.verify() == ())
    yield made
    made.close()


def pooled(sim: SimLab, engine: Engine | None = None, *, minutes: int = 60, **counts: int) -> None:
    with sim.database.write() as work:
        work.pools.put(Pool(lab="lab-a", profile="tiny", minutes=minutes, **counts))
        work.commit()
    if engine is not None:
        engine.poke()


def spares(sim: SimLab) -> dict[str, Spare]:
    with sim.database.read() as work:
        return {spare.run.guest: spare for spare in work.spares.list()}


def waiting(engine: Engine) -> dict[str, int]:
    (status,) = engine.pools()
    return {str(kind): count for kind, count in status.waiting if count}


def served(engine: Engine) -> dict[str, int]:
    (status,) = engine.pools()
    return dict(status.served)


def has(sim: SimLab, engine: Engine, **counts: int) -> None:
    until(lambda: waiting(engine) == counts, says=lambda: (engine.pools(), spares(sim)))


def folders(sim: SimLab) -> set[str]:
    return {str(each.run) for each in sim.disks.runs()}


def test_each_kind_serves_as_what_it_is_and_is_told(sim: SimLab) -> None:
    pooled(sim, ready=1, paused=1, prespawned=1)
    with sim.engine() as engine:
        has(sim, engine, ready=1, paused=1, prespawned=1)
        assert {name: spare.kind for name, spare in spares(sim).items()} == {
            "lab-a-01": SpareKind.READY,
            "lab-a-02": SpareKind.PAUSED,
            "lab-a-03": SpareKind.PRESPAWNED,
        }
        assert [str(each.run) for each in sim.hypervisor.running()] == ["lab-a-01.g1"]  # the others are no runs yet
        assert folders(sim) == {"lab-a-01.g1", "lab-a-02.g1", "lab-a-03.g1"}
        assert engine.verify() == ()
        assert started(sim, engine, "lab-a-02").origin == "paused clone of tiny.t1"
        assert started(sim, engine, "lab-a-03").origin == "prespawned clone of tiny.t1"
        before = guest(sim, "lab-a-01")
        engine.mint_display("lab-a-01", IPv4Address("10.77.0.65"))
        until(lambda: guest(sim, "lab-a-01").origin == "ready: clone of tiny.t1", says=lambda: guest(sim, "lab-a-01"))
        assert guest(sim, "lab-a-01").run == before.run
        assert guest(sim, "lab-a-01").is_clone
        until(lambda: spares(sim) == {})
        assert served(engine) == {"ready": 1, "paused": 1, "prespawned": 1}
        until(lambda: engine.verify() == (), says=engine.verify)


def test_a_seat_that_was_served_gets_another_when_it_is_free_again(sim: SimLab) -> None:
    pooled(sim, paused=3)
    with sim.engine() as engine:
        has(sim, engine, paused=3)
        assert started(sim, engine, "lab-a-01").run == RunId("lab-a-01", 1)
        has(sim, engine, paused=2)
        power.stop(sim.ports(engine), "lab-a-01")
        has(sim, engine, paused=3)
        row = started(sim, engine, "lab-a-01")
        assert row.origin == "paused clone of tiny.t1"
        assert row.run is not None
        assert row.run.generation > 1
        assert served(engine) == {"paused": 2}
        # A fresh machine begins as a clone: nothing waits beside a run that lives.
        assert started(sim, engine, "lab-a-01", fresh=True).origin == "clone of tiny.t1"
        assert served(engine) == {"paused": 2, "clone": 1}


def test_a_pool_without_seats_that_could_ask_waits_for_nothing(sim: SimLab) -> None:
    """Three of forty seats have a terminal."""
    pooled(sim, paused=10)
    with sim.engine() as engine:
        has(sim, engine, paused=3)
        assert started(sim, engine, "lab-a-07").origin == "clone of tiny.t1"


def test_what_waits_is_drained_for_a_new_template(sim: SimLab) -> None:
    pooled(sim, ready=1, paused=1)
    with sim.engine(jobs=True) as engine:
        has(sim, engine, ready=1, paused=1)
        profiles.change(sim.ports(engine), "tiny", memory_mib=80)
        has_template(sim, engine, "tiny.t2")
        until(lambda: spares(sim).get("lab-a-02") and spares(sim)["lab-a-02"].template == "tiny.t2", says=lambda: spares(sim))
        has(sim, engine, ready=1, paused=1)
        assert started(sim, engine, "lab-a-02").origin == "paused clone of tiny.t2"


def test_one_that_has_waited_long_is_made_anew(sim: SimLab) -> None:
    pooled(sim, ready=1, paused=1)
    with sim.engine() as engine:
        has(sim, engine, ready=1, paused=1)
        old = guest(sim, "lab-a-01").run
        with sim.database.write() as work:
            for spare in work.spares.list():
                work.spares.put(replace(spare, since=spare.since - timedelta(minutes=61)))
            work.commit()
        engine.poke()
        until(lambda: guest(sim, "lab-a-01").state is GuestState.STOPPED or guest(sim, "lab-a-01").run != old)
        has(sim, engine, ready=1, paused=1)
        assert all(spare.since > sim.world().clock.now() - timedelta(minutes=1) for spare in spares(sim).values())


def test_a_pool_that_is_given_up_leaves_nothing_but_what_somebody_has(sim: SimLab) -> None:
    pooled(sim, ready=2, paused=1)
    with sim.engine() as engine:
        has(sim, engine, ready=2, paused=1)
        engine.mint_display("lab-a-01", IPv4Address("10.77.0.65"))
        with sim.database.write() as work:
            assert work.pools.remove("lab-a", "tiny")
            work.commit()
        engine.poke()
        until(lambda: spares(sim) == {}, says=lambda: spares(sim))
        until(lambda: guest(sim, "lab-a-02").state is GuestState.STOPPED)
        assert guest(sim, "lab-a-01").ready
        until(lambda: folders(sim) == {"lab-a-01.g1"}, says=lambda: folders(sim))
        assert engine.pools() == ()
        until(lambda: engine.verify() == (), says=engine.verify)


def test_the_next_engine_clears_away_what_waited_and_begins_anew(sim: SimLab) -> None:
    pooled(sim, ready=1, paused=2)
    with sim.engine() as engine:
        has(sim, engine, ready=1, paused=2)
        first = spares(sim)
        ready = guest(sim, "lab-a-01").run
    with sim.engine() as engine:
        until(lambda: all(spares(sim).get(name, first[name]).since > first[name].since for name in ("lab-a-02", "lab-a-03")))
        has(sim, engine, ready=1, paused=2)
        assert guest(sim, "lab-a-01").run == ready  # one that ran is a guest like any other
        assert started(sim, engine, "lab-a-02").origin == "paused clone of tiny.t1"
        until(lambda: engine.verify() == (), says=engine.verify)


def test_a_start_that_meets_a_left_over_clears_it_away_first(sim: SimLab) -> None:
    """A dead engine's spare has the very name of this start's run."""
    pooled(sim, paused=1)
    with sim.engine() as engine:
        has(sim, engine, paused=1)
    with sim.database.write() as work:
        assert work.pools.remove("lab-a", "tiny")
        work.guests.add(first_guest(lab(), 1, sim.clock.now()))
        work.commit()
    with sim.engine() as engine:
        until(lambda: guest(sim, "lab-a-01").ready, says=lambda: guest(sim, "lab-a-01"))
        assert guest(sim, "lab-a-01").origin == "clone of tiny.t1"
        until(lambda: spares(sim) == {})
        until(lambda: engine.verify() == (), says=engine.verify)


def test_a_host_short_of_memory_gives_up_what_waits_and_nothing_else(sim: SimLab) -> None:
    pooled(sim, ready=1, paused=1)
    with sim.engine() as engine:
        has(sim, engine, ready=1, paused=1)
        plenty, sim.machine.available_mib = sim.machine.available_mib, 100
        until(lambda: set(spares(sim)) == {"lab-a-01"}, says=lambda: spares(sim))
        assert guest(sim, "lab-a-01").ready
        until(lambda: "short of memory" in engine.pools()[0].holds, says=engine.pools)
        sim.machine.available_mib = plenty
        has(sim, engine, ready=1, paused=1)


def test_without_a_template_the_pool_says_what_it_waits_for(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_templates = sim.root / "templates" / "tiny.t1"
    engine_templates.rename(sim.root / "elsewhere")
    pooled(sim, paused=1)
    with sim.engine() as engine:
        until(lambda: engine.pools()[0].holds == "its template is not made yet", says=engine.pools)
        assert not [each for each in engine.status().findings if each.code == "pool-short"]  # not at once
        monkeypatch.setattr("labvirt.engine.spares.SHORT_SECONDS", 0.0)
        (finding,) = (each for each in engine.status().findings if each.code == "pool-short")
        assert finding.sentence == "The warm pool of tiny in lab-a has fewer desktops than it should: its template is not made yet."
        (sim.root / "elsewhere").rename(engine_templates)
        engine.templates()  # listed anew
        has(sim, engine, paused=1)
        assert engine.pools()[0].holds == ""
        assert not [each for each in engine.status().findings if each.code == "pool-short"]
