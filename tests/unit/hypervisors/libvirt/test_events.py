# SPDX-License-Identifier: MIT
"""What libvirt and QEMU say becomes the contract's events; viewers are counted by their main channel."""

from __future__ import annotations

import json
from collections.abc import Callable

import libvirt
import pytest

from labvirt.contracts.hypervisor import EventKind, RunEvent
from labvirt.domain.guest import RunId
from labvirt.hypervisors.libvirt.events import DISK_ERROR, DISK_FULL, STOPPED, Ears
from labvirt.hypervisors.libvirt.viewers import Timer, viewers_in

RUN = RunId("lab-a-07", 3)
OTHER = RunId("lab-b-01", 1)


class Clock:
    """Timers that go off when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def later(self, seconds: float, work: Callable[[], None]) -> Timer:
        self.waiting.append(work)
        clock = self

        class Cancel:
            def cancel(self) -> None:
                if work in clock.waiting:
                    clock.waiting.remove(work)

        return Cancel()

    def go_on(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()


class Told:
    def __init__(self) -> None:
        self.events: list[RunEvent] = []
        self.clock = Clock()
        self.ears = Ears(self.events.append, self.clock.later)

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]


@pytest.fixture
def told() -> Told:
    found = Told()
    found.ears.know(RUN, frozenset())
    return found


def channel(kind: int, port: str, host: str = "10.77.0.65") -> str:
    return json.dumps({"server": {"auth": "spice"}, "client": {"host": host, "port": port, "channel-type": kind, "tls": True}})


def test_other_peoples_domains_are_not_heard(told: Told) -> None:
    for run in (OTHER, RUN):
        told.ears.lifecycle(run, libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED)
        told.ears.monitor(run, "RESET", None)
    assert [(event.run, event.kind, event.detail) for event in told.events] == [(RUN, EventKind.ENDED, STOPPED)]


def test_a_viewer_is_one_however_many_channels_it_has(told: Told) -> None:
    for kind, port in ((1, "5001"), (2, "5002"), (3, "5003"), (4, "5004")):
        told.ears.monitor(RUN, "SPICE_INITIALIZED", channel(kind, port))
    assert told.events == []
    told.clock.go_on()
    assert [(event.kind, event.peer) for event in told.events] == [(EventKind.VIEWER_CONNECTED, "10.77.0.65")]
    for port in ("5004", "5003", "5001", "5002"):
        told.ears.monitor(RUN, "SPICE_DISCONNECTED", channel(0, port))
    assert told.kinds() == [EventKind.VIEWER_CONNECTED, EventKind.VIEWER_LEFT]


def test_each_further_channel_puts_the_announcement_off(told: Told) -> None:
    """Whoever revokes the secret on the announcement must not come between two channels of one viewer."""
    told.ears.monitor(RUN, "SPICE_INITIALIZED", channel(1, "5001"))
    first = list(told.clock.waiting)
    told.ears.monitor(RUN, "SPICE_INITIALIZED", channel(2, "5002"))
    assert first[0] not in told.clock.waiting
    told.clock.go_on()
    assert told.kinds() == [EventKind.VIEWER_CONNECTED]


def test_a_viewer_that_leaves_before_it_was_announced_never_was(told: Told) -> None:
    told.ears.monitor(RUN, "SPICE_INITIALIZED", channel(1, "5001"))
    told.ears.monitor(RUN, "SPICE_DISCONNECTED", channel(1, "5001"))
    told.clock.go_on()
    assert told.events == []


def test_adopted_viewers_are_counted_and_their_leaving_is_told() -> None:
    told = Told()
    told.ears.know(RUN, frozenset({("10.77.0.65", "5001")}))
    told.clock.go_on()
    assert told.events == []
    told.ears.monitor(RUN, "SPICE_DISCONNECTED", channel(1, "5001"))
    assert told.kinds() == [EventKind.VIEWER_LEFT]


def test_a_later_look_mends_what_was_missed(told: Told) -> None:
    told.ears.know(RUN, frozenset({("10.77.0.65", "5001")}))
    told.clock.go_on()
    told.ears.know(RUN, frozenset())
    assert told.kinds() == [EventKind.VIEWER_CONNECTED, EventKind.VIEWER_LEFT]


@pytest.mark.parametrize(
    "details, why",
    [({"nospace": True, "action": "stop"}, DISK_FULL), ({"nospace": False, "action": "stop"}, DISK_ERROR), (None, DISK_ERROR)],
)
def test_a_pause_says_why(told: Told, details: dict[str, object] | None, why: str) -> None:
    if details is not None:
        told.ears.monitor(RUN, "BLOCK_IO_ERROR", json.dumps(details))
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_IOERROR)
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
    assert [(event.kind, event.detail) for event in told.events] == [
        (EventKind.PAUSED, why),
        (EventKind.RESUMED, ""),
        (EventKind.PAUSED, STOPPED),
    ]


def test_the_first_resuming_of_a_start_is_no_news(told: Told) -> None:
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
    assert told.events == []
    told.ears.know(RUN, paused=True)
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_RESUMED, libvirt.VIR_DOMAIN_EVENT_RESUMED_UNPAUSED)
    assert told.kinds() == [EventKind.RESUMED]


def test_the_guest_switches_itself_off(told: Told) -> None:
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_HOST)
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN, libvirt.VIR_DOMAIN_EVENT_SHUTDOWN_GUEST)
    told.ears.lifecycle(RUN, libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN)
    assert [(event.kind, event.detail) for event in told.events] == [
        (EventKind.GUEST_SHUTDOWN, ""),
        (EventKind.ENDED, "it switched itself off"),
    ]
    told.ears.monitor(RUN, "SPICE_INITIALIZED", channel(1, "5001"))
    told.clock.go_on()
    assert len(told.events) == 2


@pytest.mark.parametrize("details", [None, "", "[]", "null", "{", '{"client": 5}', '{"client": {}}', '{"client": {"channel-type": "1"}}'])
def test_what_qemu_never_says_changes_nothing(told: Told, details: str | None) -> None:
    for event in ("SPICE_INITIALIZED", "SPICE_DISCONNECTED", "BLOCK_IO_ERROR", "SOMETHING_NEW"):
        told.ears.monitor(RUN, event, details)
    told.clock.go_on()
    assert told.events == []
    assert viewers_in(details or "") == frozenset()


def test_viewers_in_an_answer() -> None:
    channels = [{"host": "10.77.0.65", "port": "5001", "channel-type": 1}, {"host": "10.77.0.65", "port": "5002", "channel-type": 2}]
    assert viewers_in(json.dumps({"return": {"enabled": True, "channels": channels}})) == {("10.77.0.65", "5001")}
    assert viewers_in(json.dumps({"return": {"enabled": False}})) == frozenset()


def test_after_closing_nobody_is_told(told: Told) -> None:
    told.ears.monitor(RUN, "SPICE_INITIALIZED", channel(1, "5001"))
    told.ears.close()
    told.clock.go_on()
    told.ears.monitor(RUN, "RESET", None)
    assert told.events == []
