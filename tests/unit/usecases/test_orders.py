# SPDX-License-Identifier: MIT
"""Orders to terminals, waking, and labs that are switched on and off by the clock."""

from __future__ import annotations

import time as times
from collections.abc import Iterator
from datetime import UTC, datetime, time
from ipaddress import IPv4Address

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import GuestState
from labvirt.domain.power_order import ORDER_SECONDS, Occupied, OrderState, PowerOrder, PowerWord
from labvirt.errors import Conflict, EngineAway, InvalidInput, NotAllowed, NotFound
from labvirt.usecases import asking, orders, power_times, terminals, waking
from tests.unit.usecases.conftest import MAC, OWN, Site

SECOND = MacAddress.parse("52:54:00:00:00:02")
SECOND_ADDRESS = IPv4Address("10.77.0.66")


def beat(site: Site, viewer: str = "none", **more: int) -> PowerOrder | None:
    """What the first terminal hears."""
    return asking.heartbeat(site.ports, str(MAC), OWN, viewer=viewer, **more)  # type: ignore[arg-type]


@pytest.fixture
def leased(site: Site) -> Site:
    """Two terminals with their leases; the first one has spoken."""
    terminals.add(site.ports, lab="lab-a", name="pc-02", mac=SECOND)
    site.engine.lease("lab-a", MAC, OWN)
    site.engine.lease("lab-a", SECOND, SECOND_ADDRESS)
    beat(site)
    return site


@pytest.fixture(autouse=True)
def host_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    times.tzset()
    yield
    monkeypatch.undo()
    times.tzset()


def test_an_order_is_given_until_it_is_confirmed_and_then_never_again(leased: Site) -> None:
    assert beat(leased) is None
    placed = orders.place(leased.ports, "pc-01", PowerWord.RESTART, by="teacher")
    given = beat(leased)
    assert given is not None
    assert (given.number, given.word, given.state) == (placed.number, PowerWord.RESTART, OrderState.GIVEN)
    again = beat(leased)  # its answer may have been lost
    assert again is not None
    assert again.number == placed.number
    assert beat(leased, order_done=placed.number) is None
    assert beat(leased) is None
    assert orders.last(leased.ports, "pc-01")[0].state is OrderState.DONE
    assert "was told by teacher to restart" in leased.history("pc-01")
    beat(leased, order_done=placed.number)
    assert leased.history("pc-01").count("was told by teacher to restart") == 1


def test_an_order_is_only_for_its_own_terminal(leased: Site) -> None:
    placed = orders.place(leased.ports, "pc-01", PowerWord.SHUTDOWN, by="teacher")
    heard = asking.heartbeat(leased.ports, str(SECOND), SECOND_ADDRESS, viewer="none", order_done=placed.number)
    assert heard is None
    with pytest.raises(NotAllowed):
        asking.heartbeat(leased.ports, str(MAC), SECOND_ADDRESS, viewer="none")
    assert beat(leased) is not None


def test_an_order_that_nobody_took_expires_and_is_never_given(leased: Site) -> None:
    orders.place(leased.ports, "pc-01", PowerWord.SHUTDOWN, by="teacher")
    leased.clock.go(ORDER_SECONDS - 1)
    orders.expire(leased.ports)
    assert orders.last(leased.ports)[0].state is OrderState.WAITING
    leased.clock.go(1)
    assert beat(leased) is None  # even before anybody has noticed
    orders.expire(leased.ports)
    assert orders.last(leased.ports)[0].state is OrderState.EXPIRED


def test_a_terminal_that_may_not_says_so(leased: Site) -> None:
    placed = orders.place(leased.ports, "pc-01", PowerWord.SHUTDOWN, by="teacher")
    assert beat(leased) is not None
    assert beat(leased, order_refused=placed.number) is None
    ended = orders.last(leased.ports)[0]
    assert (ended.state, ended.why) == (OrderState.REFUSED, "its kiosk may not do that")


def test_a_newer_order_replaces_an_older_one_and_one_that_waits_is_called_off(leased: Site) -> None:
    orders.place(leased.ports, "pc-01", PowerWord.SHUTDOWN, by="teacher")
    orders.place(leased.ports, "pc-01", PowerWord.RESTART, by="teacher")
    orders.cancel(leased.ports, "pc-01", by="teacher")
    assert [order.state for order in orders.last(leased.ports)] == [OrderState.CANCELLED] * 2
    assert beat(leased) is None
    with pytest.raises(Conflict, match="No order waits"):
        orders.cancel(leased.ports, "pc-01", by="teacher")
    orders.place(leased.ports, "pc-01", PowerWord.RESTART, by="teacher")
    assert beat(leased) is not None
    with pytest.raises(Conflict, match="heard its order"):
        orders.cancel(leased.ports, "pc-01", by="teacher")


def test_who_sits_there_is_told_first_and_not_any_more_when_it_is_over(leased: Site) -> None:
    asking.ask(leased.ports, str(MAC), OWN)
    leased.move(GuestState.RUNNING)
    leased.move(GuestState.CONNECTED)
    orders.place(leased.ports, "pc-01", PowerWord.SHUTDOWN, by="teacher", grace_seconds=600)
    answer = asking.ask(leased.ports, str(MAC), OWN).answer
    assert answer.notice == "This terminal is switched off at 2026-03-02 08:10. Please save your work."
    assert beat(leased) is None
    leased.clock.go(600)
    given = beat(leased)
    assert given is not None
    beat(leased, order_done=given.number)
    assert asking.ask(leased.ports, str(MAC), OWN).answer.notice is None


def test_what_no_order_can_be(leased: Site) -> None:
    with pytest.raises(NotFound):
        orders.place(leased.ports, "pc-99", PowerWord.RESTART, by="teacher")
    with pytest.raises(InvalidInput, match="grace"):
        orders.place(leased.ports, "pc-01", PowerWord.RESTART, by="teacher", grace_seconds=-1)
    terminals.add(leased.ports, lab="lab-a", name="pc-03", inventory_id="x-3")
    with pytest.raises(Conflict, match="MAC"):
        orders.place(leased.ports, "pc-03", PowerWord.RESTART, by="teacher")
    assert orders.last(leased.ports) == ()
    terminals.remove(leased.ports, "pc-03")
    orders.place(leased.ports, "pc-02", PowerWord.RESTART, by="teacher")
    terminals.remove(leased.ports, "pc-02")
    assert orders.last(leased.ports) == ()


@pytest.mark.parametrize("occupied, wait", [(Occupied.WARN, 600), (Occupied.SPARE, None), (Occupied.NOW, 0)])
def test_a_lab_s_terminals_that_are_on_are_ordered_and_occupied_seats_as_wished(leased: Site, occupied: Occupied, wait: int | None) -> None:
    asking.ask(leased.ports, str(MAC), OWN)
    leased.move(GuestState.RUNNING)
    leased.move(GuestState.CONNECTED)
    asking.heartbeat(leased.ports, str(SECOND), SECOND_ADDRESS, viewer="none")
    leased.clock.go(2)
    terminals.add(leased.ports, lab="lab-a", name="pc-03", mac=MacAddress.parse("52:54:00:00:00:03"))
    times.sleep(1.2)  # heartbeats of the same second are kept at its end (beats.py)
    placed = {each.terminal: each for each in orders.place_lab(leased.ports, "lab-a", PowerWord.SHUTDOWN, by="teacher", occupied=occupied)}
    free, off, taken = placed["pc-02"].order, placed["pc-03"], placed["pc-01"].order
    assert free is not None
    assert free.not_before == leased.clock.now()
    assert (off.order, "off" in off.why) == (None, True)
    assert (None if taken is None else (taken.not_before - leased.clock.now()).total_seconds()) == wait


def test_a_terminal_is_woken_by_the_engine_that_lives_on_its_bridge(leased: Site) -> None:
    assert waking.wake(leased.ports, "pc-01", by="teacher").name == "pc-01"
    assert ("wake", "lab-a", str(MAC)) in leased.engine.asked
    terminals.add(leased.ports, lab="lab-a", name="pc-03", inventory_id="x-3")
    with pytest.raises(Conflict, match="cannot be woken"):
        waking.wake(leased.ports, "pc-03", by="teacher")
    woken = waking.wake_lab(leased.ports, "lab-a", by="teacher")
    assert [each.name for each in woken.terminals] == ["pc-01", "pc-02"]
    assert [each.name for each in woken.unknown] == ["pc-03"]
    leased.engine.away = True
    with pytest.raises(EngineAway):
        waking.wake(leased.ports, "pc-01", by="teacher")


def wakes(site: Site) -> int:
    return sum(1 for asked in site.engine.asked if asked[0] == "wake")


def to(site: Site, hour: int, minute: int, day: int = 2) -> None:
    site.clock.go((datetime(2026, 3, day, hour, minute, tzinfo=UTC) - site.clock.now()).total_seconds())


def test_a_lab_wakes_and_goes_by_the_clock_once_whatever_restarts(leased: Site) -> None:
    power_times.change(leased.ports, "lab-a", on=time(8, 30), off=time(18, 0))
    power_times.keep(leased.ports)
    assert wakes(leased) == 0
    to(leased, 8, 30)
    power_times.keep(leased.ports)
    power_times.keep(leased.ports)  # another engine, of the same database
    assert wakes(leased) == 1
    to(leased, 17, 59)
    beat(leased)
    times.sleep(1.2)
    power_times.keep(leased.ports)
    assert orders.last(leased.ports) == ()
    to(leased, 18, 3)
    power_times.keep(leased.ports)
    given = beat(leased)
    assert given is not None
    assert given.asked_by == "the clock"
    beat(leased, order_done=given.number)
    power_times.keep(leased.ports)
    assert beat(leased) is None
    assert len(orders.last(leased.ports)) == 1


def test_a_time_that_was_missed_by_hours_is_not_made_up_for(leased: Site) -> None:
    power_times.change(leased.ports, "lab-a", on=time(8, 30), off=time(18, 0))
    to(leased, 21, 0)
    power_times.keep(leased.ports)
    assert (wakes(leased), orders.last(leased.ports)) == (0, ())
    to(leased, 8, 35, day=3)
    power_times.keep(leased.ports)
    assert wakes(leased) == 1  # the control: five minutes are made up for


def test_an_engine_that_cannot_send_tries_again(leased: Site) -> None:
    power_times.change(leased.ports, "lab-a", on=time(8, 30))
    to(leased, 8, 30)
    leased.engine.away = True
    power_times.keep(leased.ports)
    leased.engine.away = False
    power_times.keep(leased.ports)
    assert wakes(leased) == 1
