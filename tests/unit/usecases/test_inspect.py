# SPDX-License-Identifier: MIT
"""Looking without touching."""

from __future__ import annotations

import pytest

from labvirt.contracts.engine import Presence
from labvirt.domain.guest import GuestState
from labvirt.errors import NotFound
from labvirt.usecases import asking, inspect, labs, power, profiles
from tests.unit.usecases.conftest import MAC, OWN, Site


def test_the_overview_shows_every_sign_of_life_apart(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    power.start(site.ports, "lab-a-02")
    asking.ask(site.ports, None, OWN)
    asking.heartbeat(site.ports, None, OWN, viewer="running")
    asking.ask(site.ports, "stranger-1", None)
    site.move(GuestState.RUNNING)
    site.clock.go(7)
    told = inspect.overview(site.ports, {"lab-a-01": Presence(guest="lab-a-01", display=True, flow=False)})
    (lab,) = told.labs
    first, second = lab.seats
    assert (first.seat, first.guest_seconds, first.heartbeat_seconds) == (1, 7, 7)
    assert first.terminal_lease is not None
    assert first.guest_lease is None
    assert first.presence is not None
    assert first.presence.display
    assert first.answer is not None
    assert first.answer.status == "ready"
    assert (second.terminal, second.answer, second.queue_place) == (None, None, 1)
    assert [s.id for s in told.strangers] == ["stranger-1"]
    assert told.engine is not None


def test_the_overview_says_that_the_engine_is_away(site: Site) -> None:
    asking.ask(site.ports, None, OWN)
    site.engine.away = True
    told = inspect.overview(site.ports)
    assert told.engine is None
    assert "does not answer" in told.engine_problem
    assert told.labs[0].leases_problem
    assert told.labs[0].seats[0].guest is not None


def test_explain_names_rule_profile_disks_and_command_line(site: Site) -> None:
    profiles.clone(site.ports, "desk", "other")
    asking.ask(site.ports, None, OWN)
    before = inspect.explain(site.ports, "pc-01")
    assert (before.command_line, before.command_problem) == ((), "it does not run")
    site.move(GuestState.RUNNING)
    told = inspect.explain(site.ports, "lab-a-01")
    assert told.rule == "terminal pc-01 gets desk: the first that can be started in lab-a (position 100)"
    assert [(verdict.profile, verdict.taken) for verdict in told.verdicts] == [("desk", True), ("other", False)]
    assert told.profile is not None
    assert told.profile.name == "desk"
    assert [(disk.now and disk.now.version, disk.next and disk.next.version) for disk in told.disks] == [(1, 1)]
    assert told.versions == "tiny v1"
    assert str(told.identity.mac) == "02:4c:56:00:00:01"
    assert told.host is not None
    assert told.host.name == "here"
    assert told.command_line[0] == "qemu-system-x86_64"
    assert told.history
    site.engine.away = True
    away = inspect.explain(site.ports, "lab-a-01")
    assert away.command_line == ()
    assert "does not answer" in away.command_problem
    with pytest.raises(NotFound):
        inspect.explain(site.ports, "nobody")


def test_explain_says_when_nothing_can_be_started(site: Site) -> None:
    profiles.change(site.ports, "desk", active=False)
    told = inspect.explain(site.ports, "lab-a-03")
    assert told.rule == "no profile can be started here"
    assert told.verdicts[0].why == "it is not active"
    assert (told.guest, told.terminal, told.profile) == (None, None, None)


def test_a_seat_that_no_longer_fits_is_shown(site: Site) -> None:
    asking.ask(site.ports, None, OWN)
    labs.change(site.ports, "lab-a", max_instances=1)
    assert inspect.overview(site.ports).labs[0].seats[0].identity is not None


def test_a_later_look_reads_only_what_has_changed(site: Site) -> None:
    power.start(site.ports, "lab-a-01")
    before = inspect.overview(site.ports)
    site.move(GuestState.RUNNING)
    labs.add(site.ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"))
    site.engine.away = True  # it is not asked
    same = inspect.overview(site.ports, before=before)
    assert same.labs[0] == before.labs[0]
    assert same.engine == before.engine
    assert [view.lab.name for view in same.labs] == ["lab-a", "lab-b"]
    site.engine.away = False
    again = inspect.overview(site.ports, before=before, changed={"lab-a"})
    guest = again.labs[0].seats[0].guest
    assert guest is not None
    assert guest.state is GuestState.RUNNING
    assert again.labs == inspect.overview(site.ports).labs
    labs.remove(site.ports, "lab-b")
    assert [view.lab.name for view in inspect.overview(site.ports, before=again).labs] == ["lab-a"]
