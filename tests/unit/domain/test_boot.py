# SPDX-License-Identifier: MIT
"""Phases become a stacked time line without gaps, whatever a terminal says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.boot import LONGEST_MS, PHASES, Boot, summary, time_line
from labvirt.errors import InvalidInput

BOOT = Boot(
    terminal="t1",
    boot_id="00000000-0000-4000-8000-000000000001",
    at=datetime(2026, 11, 20, 8, 0, tzinfo=UTC),
    phases=(("kernel", 1000), ("address", 4000), ("image", 20000), ("connected", 26000)),
)


def test_the_line_is_stacked_and_its_biggest_part_is_named() -> None:
    line = time_line(replace(BOOT, firmware_ms=3000, loader_ms=2000))
    assert [(part.name, part.begin_ms, part.end_ms) for part in line.parts] == [
        ("firmware", 0, 3000),
        ("loader", 3000, 5000),
        ("kernel", 5000, 6000),
        ("address", 6000, 9000),
        ("image", 9000, 25000),
        ("connected", 25000, 31000),
    ]
    assert line.total_ms == 31000
    assert line.biggest is not None
    assert line.biggest.name == "image"
    assert time_line(BOOT).total_ms == 26000


@given(st.dictionaries(st.sampled_from(list(PHASES)), st.integers(0, LONGEST_MS), min_size=1), st.none() | st.integers(0, 10**6))
def test_any_phases_make_a_line_without_gaps(told: dict[str, int], firmware: int | None) -> None:
    line = time_line(replace(BOOT, phases=tuple(told.items()), firmware_ms=firmware))
    assert line.parts[0].begin_ms == 0
    assert all(one.end_ms == other.begin_ms for one, other in zip(line.parts, line.parts[1:], strict=False))
    assert all(part.ms >= 0 for part in line.parts)
    assert line.total_ms == max(told.values()) + (firmware or 0)


def test_a_summary_has_median_and_worst_of_each_part() -> None:
    slow = replace(BOOT, terminal="t2", phases=(("kernel", 9000), ("connected", 9500)))
    partial = replace(BOOT, terminal="t3", phases=(("kernel", 2000),), complete=False)
    parts = {part.name: part for part in summary([BOOT, slow, partial])}
    kernel, total = parts["kernel"], parts["total"]
    assert (kernel.median_ms, kernel.worst_ms, kernel.worst_terminal, kernel.boots) == (2000, 9000, "t2", 3)
    assert (total.worst_ms, total.worst_terminal, total.boots) == (26000, "t1", 2)
    assert list(parts)[-1] == "total"
    assert summary([]) == ()


@pytest.mark.parametrize(
    "field, wrong",
    [
        ("boot_id", "x" * 36),
        ("phases", ()),
        ("phases", (("coffee", 1),)),
        ("phases", (("kernel", -1),)),
        ("phases", (("kernel", LONGEST_MS + 1),)),
        ("phases", (("kernel", 1), ("kernel", 2))),
        ("image_from", "moon"),
        ("image_bytes", -1),
        ("firmware_ms", LONGEST_MS + 1),
    ],
)
def test_what_no_boot_can_be_is_refused(field: str, wrong: object) -> None:
    with pytest.raises(InvalidInput):
        replace(BOOT, **{field: wrong})  # type: ignore[arg-type]


def test_bytes_are_told_only_when_all_are_known() -> None:
    known = replace(BOOT, image_bytes=160, kernel_bytes=10, initrd_bytes=7, image_from="network")
    assert known.fetched_bytes == 177
    assert replace(known, image_from="disk").fetched_bytes == 17
    assert replace(known, initrd_bytes=None).fetched_bytes is None
