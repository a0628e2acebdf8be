# SPDX-License-Identifier: MIT
"""Who counts as a viewer, out of the events and answers of a real SPICE session (QEMU 7.2), without QEMU."""

from __future__ import annotations

import asyncio

import pytest

from labvirt.contracts.hypervisor import EventKind
from labvirt.hypervisors.qemu import viewers
from labvirt.hypervisors.qemu.viewers import Viewers

PC = "10.77.0.65"


def _channel(port: int, kind: int = 1, host: str = PC) -> dict[str, object]:
    return {"host": host, "port": str(port), "family": "ipv4", "channel-type": kind, "connection-id": 7, "channel-id": 0}


class _Said:
    def __init__(self) -> None:
        self.words: list[tuple[EventKind, str]] = []

    def __call__(self, kind: EventKind, detail: str = "", *, peer: str = "") -> None:
        self.words.append((kind, peer))


async def _settle() -> None:
    await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewers, "QUIET_SECONDS", 0.01)


def test_a_viewer_with_many_channels_is_one_viewer() -> None:
    async def story() -> None:
        said = _Said()
        there = Viewers(said)
        there.compare({"channels": []})
        for port, kind in ((5000, 1), (5001, 2), (5002, 3), (5003, 4)):
            there.initialized(_channel(port, kind))
        assert said.words == []
        await _settle()
        assert said.words == [(EventKind.VIEWER_CONNECTED, PC)]
        assert there.count == 1
        for port in (5003, 5002, 5001):
            there.disconnected({"host": PC, "port": str(port), "family": "ipv4"})
        assert there.count == 1
        there.disconnected({"host": PC, "port": "5000", "family": "ipv4"})
        assert said.words[1:] == [(EventKind.VIEWER_LEFT, PC)]

    asyncio.run(story())


def test_who_was_there_before_us_is_counted_and_not_announced() -> None:
    async def story() -> None:
        said = _Said()
        there = Viewers(said)
        there.compare({"enabled": True, "channels": [_channel(5000), _channel(5001, 2)]})
        await _settle()
        assert (there.count, said.words) == (1, [])
        there.compare({"channels": []})
        assert said.words == [(EventKind.VIEWER_LEFT, PC)]

    asyncio.run(story())


def test_events_that_were_lost_are_made_up_by_looking() -> None:
    async def story() -> None:
        said = _Said()
        there = Viewers(said)
        there.compare({"channels": []})
        there.compare({"channels": [_channel(5000)]})
        there.compare({"channels": [_channel(5000)]})
        await _settle()
        there.compare({"channels": [_channel(6000, host="10.77.0.66")]})
        await _settle()
        assert said.words == [
            (EventKind.VIEWER_CONNECTED, PC),
            (EventKind.VIEWER_LEFT, PC),
            (EventKind.VIEWER_CONNECTED, "10.77.0.66"),
        ]

    asyncio.run(story())


def test_who_leaves_at_once_was_never_there() -> None:
    async def story() -> None:
        said = _Said()
        there = Viewers(said)
        there.compare({"channels": []})
        there.initialized(_channel(5000))
        there.disconnected(_channel(5000))
        await _settle()
        assert (there.count, said.words) == (0, [])
        there.initialized(None)
        there.initialized({"channel-type": 1})
        there.compare({"channels": [{"nothing": 1}]})

    asyncio.run(story())
