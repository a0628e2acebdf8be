# SPDX-License-Identifier: MIT
"""The sixteen special guests: taken from the lowest, used again when off, never taken from somebody."""

from __future__ import annotations

import pytest

from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow, Wish
from labvirt.domain.image import DiskChoice
from labvirt.errors import Exhausted, NotFound
from labvirt.usecases import specials
from tests.unit.usecases.conftest import Site

DISKS = (DiskChoice(place=0, image="tiny", version=1),)


def take(site: Site, purpose: Purpose = Purpose.CANARY, source: str = "job-1") -> Guest:
    with site.ports.database.write() as work:
        guest = specials.take(site.ports, work, "lab-a", purpose=purpose, profile="desk", disks=DISKS, source=source)
        work.commit()
    return guest


def release(site: Site, name: str, how: StopHow = StopHow.STOP, **whose: object) -> Guest | None:
    with site.ports.database.write() as work:
        guest = specials.release(site.ports, work, name, how, **whose)  # type: ignore[arg-type]
        work.commit()
    return guest


def test_the_lowest_free_number_is_taken_and_all_is_fixed_in_the_row(site: Site) -> None:
    first, second = take(site), take(site, Purpose.RESCUE, "lab-a-01.g3")
    assert (first.name, first.seat, second.name, second.seat) == ("lab-a-s01", 4080, "lab-a-s02", 4081)
    assert site.guest("lab-a-s01") == first
    assert (first.purpose, first.profile, first.disks, first.source, first.wish) == (Purpose.CANARY, "desk", DISKS, "job-1", Wish.RUNNING)
    assert (first.state, first.generation, first.terminal) == (GuestState.WANTED, 1, None)


@pytest.mark.parametrize("state", [GuestState.STOPPED, GuestState.FAILED])
def test_a_row_is_used_again_only_when_it_is_off_and_unwanted(site: Site, state: GuestState) -> None:
    first = take(site)
    site.move(GuestState.RUNNING, name=first.name)
    release(site, first.name)
    assert take(site).name == "lab-a-s02"
    site.move(state, name=first.name, reason="x")
    again = take(site, source="job-2")
    assert again.name == first.name
    assert again.generation > first.generation + 1
    assert (again.source, again.reason, again.failures) == ("job-2", "", 0)


def test_all_sixteen_taken_is_said_with_what_to_do(site: Site) -> None:
    names = [take(site).name for _ in range(16)]
    assert names[-1] == "lab-a-s16"
    with pytest.raises(Exhausted) as caught:
        take(site)
    assert "All 16 special guests of the lab lab-a are taken (canary)." in str(caught.value)
    assert "labvirt admin list" in caught.value.hint
    release(site, names[7])
    site.move(GuestState.STOPPED, name=names[7])
    assert take(site).name == names[7]
    with site.ports.database.write() as work, pytest.raises(NotFound):
        specials.take(site.ports, work, "nowhere", purpose=Purpose.CANARY, profile="desk", disks=DISKS)


def test_nobody_releases_what_is_not_his(site: Site) -> None:
    guest = take(site, Purpose.ADMIN, "tiny.d1")
    assert release(site, guest.name, purpose=Purpose.CANARY) is None
    assert release(site, guest.name, purpose=Purpose.ADMIN, source="tiny.d2") is None
    assert release(site, "lab-a-s09") is None
    assert site.guest(guest.name) == guest
    released = release(site, guest.name, StopHow.SHUTDOWN, purpose=Purpose.ADMIN, source="tiny.d1")
    assert released is not None
    assert (released.wish, released.stop_how) == (Wish.STOPPED, StopHow.SHUTDOWN)
    stronger = release(site, guest.name, StopHow.STOP)
    assert stronger is not None
    assert stronger.stop_how is StopHow.STOP
