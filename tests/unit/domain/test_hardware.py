# SPDX-License-Identifier: MIT
"""What a terminal says of its machine: cleaned, bounded, judged."""

from __future__ import annotations

from typing import Any

import pytest

from labvirt.domain.hardware import Hardware, check_hardware, judge
from labvirt.errors import InvalidInput

GOOD: dict[str, Any] = {
    "memory_mib": 3814,
    "cpus": 4,
    "cpu": "Intel i5",
    "vendor": "Dell Inc.",
    "product": "OptiPlex 7010",
    "link_mbps": 1000,
    "screens": ("1920x1080",),
}


def test_a_good_machine_has_nothing_to_mend() -> None:
    good = check_hardware(**GOOD)
    assert judge(good, "pc-01") == ()
    assert good.words == "Dell Inc. OptiPlex 7010, 4 x Intel i5, 3.7 GB, screen 1920x1080, 1 Gbit/s"
    assert judge(Hardware(), "pc-01") == ()  # what is not known is not blamed
    assert Hardware().words == ""


@pytest.mark.parametrize(
    "change, code",
    [
        ({"memory_mib": 994}, "terminal-memory"),
        ({"link_mbps": 100}, "terminal-link"),
        ({"screens": ()}, "terminal-screen"),
    ],
)
def test_a_poor_machine_is_said(change: dict[str, Any], code: str) -> None:
    found = judge(check_hardware(**{**GOOD, **change}), "pc-01")
    assert [(each.code, each.subject) for each in found] == [(code, "pc-01")]
    assert found[0].fix


def test_two_gigabytes_are_two_though_firmware_takes_its_part() -> None:
    assert judge(check_hardware(memory_mib=1880), "pc-01") == ()


@pytest.mark.parametrize(
    "change", [{"memory_mib": 0}, {"memory_mib": 1 << 30}, {"cpus": -1}, {"link_mbps": 10**9}, {"screens": ("x",) * 5}]
)
def test_numbers_of_no_machine_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check_hardware(**{**GOOD, **change})


def test_text_is_one_clean_short_line() -> None:
    said = check_hardware(cpu="a\x1b[2J\n" + "b" * 300, screens=("1\n2" + "x" * 300,))
    assert said.cpu.startswith("a[2J b")
    assert len(said.cpu) == 80
    assert said.screens is not None
    assert len(said.screens[0]) == 40
