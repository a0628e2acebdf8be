# SPDX-License-Identifier: MIT
"""The hosts page over time: readings of this process, gaps where nothing was known, words beside each line."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from labvirt.domain.host import HostLoad
from labvirt.domain.right import Role
from labvirt.usecases import hosts
from labvirt.web import past
from labvirt.web.past import KEPT, Past, Sample
from labvirt.web.published import Published
from labvirt.web.ui.past_chart import HEIGHT, WIDTH, sparks

from .conftest import Site
from .lab import fill
from .test_matrix import OWN
from .test_matrix import browser as signed_in

BEGAN = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)
LOAD = HostLoad(memory_total_mib=1000, memory_available_mib=750, cpus=2, disk_free_mib=1, cpu_pressure=5.0)


def at(minute: int, free: int | None, guests: int | None = 1) -> Sample:
    load = None if free is None else replace(LOAD, memory_available_mib=free)
    return Sample(at=BEGAN + timedelta(minutes=minute), load=load, guests=guests)


def test_a_line_goes_from_the_first_reading_to_the_last_and_says_so() -> None:
    memory, pressure, guests = sparks([at(0, 1000, 0), at(1, 500, 1), at(2, 0, 4)], guests=True)
    assert memory.lines == (f"0.0,{HEIGHT - 1}.0 180.0,20.0 {WIDTH}.0,1.0",)
    assert memory.words == "last 1000 MiB, least 0 B, most 1000 MiB"
    assert pressure.words == "last 5.0 %, least 5.0 %, most 5.0 %"
    assert guests.words == "last 4, least 0, most 4"
    assert [each.name for each in sparks([at(0, 1), at(1, 2)], guests=False)] == ["Memory in use", "Processor pressure"]


def test_where_nothing_was_known_is_a_gap() -> None:
    memory, *_ = sparks([at(0, 100), at(1, 100), at(2, None, None), at(3, 100)], guests=False)
    whole, alone = memory.lines
    assert len(whole.split()) == 2
    assert len(set(alone.split())) == 1  # a point
    assert sparks([at(0, None, None), at(1, 5)], guests=False) == ()  # one reading is no line


def test_it_remembers_so_many_and_outlives_an_engine_that_is_away(site: Site) -> None:
    remembered = Past(site.ports, Published(site.engine))
    assert remembered.take().guests == 0
    site.engine.set_away(True)
    assert remembered.take().guests is None
    for _ in range(KEPT):
        remembered.take()
    assert len(remembered.samples()) == KEPT
    assert all(each.guests is None for each in remembered.samples())  # the first is forgotten


def test_readings_are_taken_by_themselves_and_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "EVERY_SECONDS", 0.01)

    async def some() -> int:
        remembered = Past(site.ports, Published(site.engine))
        remembered.start()
        while len(remembered.samples()) < 3:
            await asyncio.sleep(0.01)
        remembered.close()
        await asyncio.sleep(0.1)
        count = len(remembered.samples())
        await asyncio.sleep(0.1)
        assert len(remembered.samples()) == count
        return count

    assert asyncio.run(some()) >= 3


def test_the_page_shows_it_and_guests_of_all_labs_to_who_sees_all(site: Site) -> None:
    fill(site.ports, site.engine, 4)
    with site.ports.database.write() as work:
        if not work.hosts.list():
            work.hosts.add(hosts.Host(name="here"))
            work.commit()
    everything = site.browser()
    assert "has run for two minutes" in everything.get("/hosts/part").text
    site.app.past._samples.extend([at(0, 900, 1), at(1, 700, 3)])
    page = everything.get("/hosts/part").text
    labels = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert [label.split(" since ")[0] for label in labels] == ["Memory in use", "Processor pressure", "Guests"]
    assert "Remembered since 2026-11-28" in page
    assert "last 3, least 1, most 3" in labels[-1]
    own = signed_in(site, Role.TEACHER, OWN).get("/hosts/part").text
    assert "Memory in use since" in own
    assert "Guests since" not in own
