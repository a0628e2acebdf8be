# SPDX-License-Identifier: MIT
"""What a lab's network is to be names hundreds of hosts: it is put together when something of it changed, not in every round."""

from __future__ import annotations

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.engine import labs as engine_labs
from labvirt.engine.labs import LabWish, wish_of
from labvirt.usecases import terminals
from tests.engine.simulated import SimLab, lab, profile, until


def test_a_wish_is_made_anew_only_when_its_lab_has_changed(sim: SimLab, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def counted(*told: object, **more: object) -> LabWish:
        wish = wish_of(*told, **more)  # type: ignore[arg-type]
        made.append(wish.network.lab)
        return wish

    monkeypatch.setattr(engine_labs, "wish_of", counted)
    sim.furnish(lab(seats=4), lab("lab-b", 1, seats=4), kind=profile(), terminals=1)
    with sim.engine() as engine:
        until(lambda: sim.dhcp.serving() == {"lab-a", "lab-b"}, says=engine.verify)
        made.clear()
        for _ in range(3):
            before = engine.status().reconciled_at
            engine.poke()
            until(lambda before=before: engine.status().reconciled_at != before, says=engine.status)  # type: ignore[misc]
        assert made == []
        mac = MacAddress(0x020000000077)
        terminals.add(sim.ports(engine), lab="lab-b", seat=3, mac=mac)
        # A stranger gets an address at once, of the quarantine: the terminal has a name when its lab was applied again.
        until(lambda: (lease := sim.dhcp.ask("lab-b", mac)) is not None and lease.name is not None, says=engine.verify)
        assert set(made) == {"lab-b"}
