# SPDX-License-Identifier: MIT
"""Notes on interfaces: what is written is read back, anything else is not ours."""

from __future__ import annotations

import dataclasses

import pytest

from labvirt.network import memo
from tests.unit.network import example


def test_what_was_noted_is_read_back() -> None:
    assert memo.parse_lab(example.NETWORK.bridge, memo.render_lab(example.NETWORK)) == example.NETWORK
    port = example.port(1)
    assert memo.parse_port(port.tap, port.bridge, memo.render_port(port)) == port


def test_the_longest_name_fits_the_kernels_field() -> None:
    assert len(memo.render_lab(dataclasses.replace(example.NETWORK, lab="a" * 32))) <= memo.LIMIT


@pytest.mark.parametrize(
    "note",
    [
        None,
        "",
        "uplink of room 3",
        "labvirt lab lab-a 10.77.0.1/99 quarantine 10.77.0.16-10.77.0.63 controller 8080 displays 1-2",
        "labvirt lab lab-a 10.77.0.300/24 quarantine 10.77.0.16-10.77.0.63 controller 8080 displays 1-2",
        "labvirt port 02:4c:56:00:10:01 10.77.0.129 uid root",
        "labvirt port 03:4c:56:00:10:01 10.77.0.129 uid 7",
        "labvirt port 02:4c:56 10.77.0.129 uid 7",
        "labvirt port 02:4c:56:00:10:01 10.77.0.1290 uid 7",
    ],
)
def test_a_note_that_is_not_ours_says_nothing(note: str | None) -> None:
    port = example.port(1)
    assert memo.parse_lab(example.NETWORK.bridge, note) is None
    assert memo.parse_port(port.tap, port.bridge, note) is None
