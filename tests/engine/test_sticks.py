# SPDX-License-Identifier: MIT
"""A guest on SPICE has a way for the terminal's USB sticks only where the setting says so as it starts."""

from __future__ import annotations

import pytest

from labvirt.domain.profile import Protocol
from labvirt.usecases import settings
from labvirt.usecases.settings import Level, Scope
from tests.engine.simulated import SimLab, lab, profile
from tests.engine.test_engine import ports_of, start


@pytest.mark.parametrize("allowed", ["on", "off"])
def test_sticks_go_to_a_guest_only_where_the_terminals_settings_allow_it(sim: SimLab, allowed: str) -> None:
    sim.furnish(lab(seats=4), kind=profile(protocol=Protocol.SPICE), terminals=2)
    with sim.engine() as engine:
        settings.change(ports_of(sim, engine), Level(scope=Scope.LAB, subject="lab-a"), "usb", allowed)
        spec = sim.hypervisor.specs[start(sim, engine, "lab-a-01")]
        assert spec.spice is not None
        assert spec.spice.usb is (allowed == "on")
        unattended = sim.hypervisor.specs[start(sim, engine, "lab-a-04")]  # a seat without a terminal has nobody's setting
        assert unattended.spice is not None
        assert not unattended.spice.usb
