# SPDX-License-Identifier: MIT
"""What terminals say of their machines is kept as their word, and only from their own address."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from labvirt.domain.hardware import Hardware
from labvirt.errors import NotAllowed, NotFound
from labvirt.usecases import hardware, terminals
from tests.unit.usecases.conftest import MAC, OWN, Site

SAID = Hardware(memory_mib=994, cpus=2, cpu="Atom", screens=("1280x1024",), link_mbps=1000)


def test_it_is_kept_judged_and_told_again(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    assert hardware.one(site.ports, "pc-01").report is None
    hardware.tell(site.ports, str(MAC), OWN, SAID)
    first = hardware.one(site.ports, "pc-01")
    assert first.report is not None
    assert first.report.hardware == SAID
    assert [finding.code for finding in first.findings] == ["terminal-memory"]
    site.clock.go(60)
    hardware.tell(site.ports, str(MAC), OWN, SAID)
    again = hardware.one(site.ports, "pc-01").report
    assert again is not None
    assert (again.since, again.at) == (first.report.since, site.clock.now())
    hardware.tell(site.ports, None, OWN, Hardware(memory_mib=4000, screens=()))
    assert "says that its hardware is another now: 3.9 GB, no screen" in site.history("pc-01")
    assert [view.terminal.name for view in hardware.of_lab(site.ports, "lab-a")] == ["pc-01"]
    terminals.remove(site.ports, "pc-01")
    assert hardware.of_lab(site.ports, "lab-a") == ()


def test_nobody_speaks_for_another_terminal(site: Site) -> None:
    site.engine.lease("lab-a", MAC, OWN)
    with pytest.raises(NotAllowed):
        hardware.tell(site.ports, str(MAC), IPv4Address("10.77.0.66"), SAID)
    with pytest.raises(NotFound):
        hardware.tell(site.ports, "52:54:00:00:00:99", OWN, SAID)
    assert hardware.one(site.ports, "pc-01").report is None
    hardware.tell(site.ports, str(MAC), OWN, SAID)
    assert hardware.one(site.ports, "pc-01").report is not None
