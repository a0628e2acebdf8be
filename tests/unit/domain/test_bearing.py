# SPDX-License-Identifier: MIT
"""How many starts a host bears: what is read from its counters, and a rule that finds the number and stays there."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labvirt.domain.bearing import CEILING_SECONDS, WINDOW_SECONDS, Bearing, Strain, first, most_of, strain, trouble
from labvirt.domain.host import HostLoad

CALM = Strain(cpu=10.0, io=0.0, memory=0.0, disk_ms=1.0)
BASE = HostLoad(
    memory_total_mib=1,
    memory_available_mib=1,
    cpus=4,
    disk_free_mib=1,
    cpu_stalled_us=0,
    io_stalled_us=0,
    memory_stalled_us=0,
    disk_requests=0,
    disk_wait_ms=0,
)


def test_what_stood_still_is_a_share_of_the_time_between_two_readings() -> None:
    after = replace(BASE, cpu_stalled_us=1_000_000, io_stalled_us=500_000, memory_stalled_us=20_000, disk_requests=10, disk_wait_ms=250)
    assert strain(BASE, after, 2.0) == Strain(cpu=50.0, io=25.0, memory=1.0, disk_ms=25.0)
    assert strain(after, BASE, 2.0) == Strain()  # another boot: nothing is known
    assert strain(replace(BASE, out_of_memory=2), replace(BASE, out_of_memory=3), 2.0).killed == 1
    assert strain(BASE, replace(BASE, out_of_memory=3), 2.0).killed == 0
    nothing = HostLoad(memory_total_mib=1, memory_available_mib=1, cpus=4, disk_free_mib=1)
    assert strain(nothing, nothing, 2.0) == Strain()


@pytest.mark.parametrize(
    "lack, says",
    [
        (Strain(io=40.0, disk_ms=80.0), "the disk is slow: all work stood still for it in 40 % of the time, a request takes 80 ms"),
        (Strain(memory=0.0, killed=1), "memory ran out: the kernel had to end something"),
        (Strain(memory=9.0, io=40.0), "memory is short: all work stood still for it in 9 % of the time"),
        (Strain(disk_ms=180.0), "the disk is slow, a request takes 180 ms"),
        (Strain(io=3.0, disk_ms=180.0, memory=1.0), ""),  # the kernel says that nobody waits for it
        (CALM, ""),
    ],
)
def test_the_reason_says_what_is_short(lack: Strain, says: str) -> None:
    assert trouble(lack) == says
    after = Bearing(starts=8, most=16).after(lack, cpus=4, wanted=True, now=0.0)
    assert (after.starts < 8, after.why) == (bool(says), says) if says else after.starts >= 8


def test_it_grows_while_somebody_waits_and_nothing_stands_still() -> None:
    bearing = first(most=None, cpus=4)
    assert (bearing.starts, bearing.most) == (4, 16)
    assert bearing.after(CALM, cpus=4, wanted=False, now=0.0).starts == 4
    for _ in range(40):
        bearing = bearing.after(CALM, cpus=4, wanted=True, now=0.0)
    assert (bearing.starts, bearing.why) == (16, "no more than 16 are tried at once")


def test_busy_processors_take_it_back_to_their_number_and_never_below() -> None:
    bearing, busy = Bearing(starts=16, most=16), replace(CALM, cpu=97.0)
    for _ in range(20):
        bearing = bearing.after(busy, cpus=4, wanted=True, now=0.0)
    assert (bearing.starts, bearing.why) == (4, "the processors are busy: something waited for one in 97 % of the time")
    for second in (0, 2, 10, 20):  # the disk may take it further, a step at a time
        bearing = bearing.after(replace(CALM, io=90.0), cpus=4, wanted=True, now=second)
    assert bearing.starts == 1
    assert bearing.after(CALM, cpus=4, wanted=True, now=29).starts == 2  # it was not the starts: one alone was too much, too


def test_a_kernel_that_tells_nothing_gets_one_start_for_each_processor() -> None:
    bearing = first(most=None, cpus=4)
    for _ in range(20):
        bearing = bearing.after(Strain(), cpus=4, wanted=True, now=0.0)
    assert bearing.starts == 4
    assert "no PSI" in bearing.why


def test_what_somebody_has_set_is_the_bound() -> None:
    assert first(most=3, cpus=8) == Bearing(starts=3, most=3)
    assert (most_of(3, 8), most_of(None, 8), most_of(0, 8)) == (3, 32, 1)
    assert Bearing(starts=9, most=16).bounded(3).starts == 3
    assert Bearing(starts=2, most=3).bounded(9) == Bearing(starts=2, most=9)


@pytest.mark.parametrize("bears", [1, 3, 7, 12])
def test_it_finds_what_the_host_bears_and_does_not_swing(bears: int) -> None:
    """A host whose disk stands still when more than `bears` start. Starts that were let through go on for a while, so the load follows
    late; each reading is a little wrong."""
    dice = random.Random(bears)
    bearing, going, now = first(most=None, cpus=4), 0.0, 0.0
    seen: list[int] = []
    downs: list[float] = []
    while now < 900:
        going += (bearing.starts - going) * 0.6
        io = (70.0 if going > bears + 0.5 else 2.0) * dice.uniform(0.7, 1.2)
        before, now = bearing.starts, now + WINDOW_SECONDS
        bearing = bearing.after(replace(CALM, io=io), cpus=4, wanted=True, now=now)
        downs += [now] if bearing.starts < before else []
        seen.append(bearing.starts)
    later = seen[len(seen) // 5 :]
    assert max(later) <= bears + 2
    assert sum(later) / len(later) >= 0.6 * bears
    assert len(downs) <= 900 / CEILING_SECONDS * 3 + 3, f"it steps down too often: {downs}"


LACKS = st.builds(
    Strain,
    **{name: st.one_of(st.none(), st.floats(0, 100)) for name in ("cpu", "io", "memory")},  # type: ignore[arg-type]
    disk_ms=st.one_of(st.none(), st.floats(0, 5000)),
)


@settings(deadline=None)
@given(st.lists(st.tuples(LACKS, st.booleans()), max_size=60), st.integers(1, 64), st.one_of(st.none(), st.integers(1, 200)))
def test_whatever_comes_it_stays_in_its_bounds(lacks: list[tuple[Strain, bool]], cpus: int, most: int | None) -> None:
    bearing = first(most=most, cpus=cpus)
    for number, (lack, wanted) in enumerate(lacks):
        before, bearing = bearing, bearing.after(lack, cpus=cpus, wanted=wanted, now=number * WINDOW_SECONDS)
        assert 1 <= bearing.starts <= most_of(most, cpus)
        assert before.starts // 2 <= bearing.starts <= before.starts + 1
