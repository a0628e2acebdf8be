# SPDX-License-Identifier: MIT
"""Labs whose addresses the campus gives: who a terminal is, and what is said about addresses, without any lease of ours."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from labvirt.contracts.dhcp import DhcpLab
from labvirt.domain.addresses import MacAddress
from labvirt.domain.lab import DhcpMode
from labvirt.engine.labs import wish_of
from labvirt.engine.main import Engine
from labvirt.errors import NotAllowed
from labvirt.usecases import asking, inspect, labs
from labvirt.usecases.ports import Ports
from tests.engine.simulated import SimLab, lab, profile, until

MAC, OWN, OTHER = MacAddress(0x020000000001), IPv4Address("10.77.0.65"), IPv4Address("10.77.0.66")


def served(sim: SimLab, engine: Engine, mode: DhcpMode) -> DhcpLab:
    """The lab is as the mode wants it; what our server was given."""
    with sim.database.read() as work:
        wanted = wish_of(work.labs.one("lab-a"), work.terminals.list(), sim.settings.controller_port).dhcp
    until(lambda: "lab-a" in sim.dhcp.serving() and not engine.verify(), says=engine.verify)
    assert wanted.mode is mode
    return wanted


def heartbeat(ports: Ports, source: IPv4Address) -> None:
    asking.heartbeat(ports, str(MAC), source, viewer="none")


@pytest.mark.parametrize("mode", [DhcpMode.PROXY, DhcpMode.NONE])
def test_a_terminal_is_known_by_its_computed_address(sim: SimLab, mode: DhcpMode) -> None:
    sim.furnish(replace(lab(seats=4), dhcp=mode), kind=profile(), terminals=2)
    with sim.engine() as engine:
        ports = sim.ports(engine)
        served(sim, engine, mode)
        assert sim.dhcp.ask("lab-a", MAC) is None  # nobody gets an address of ours
        assert sim.dhcp.leases("lab-a") == ()
        asking.ask(ports, str(MAC), OWN)
        until(lambda: asking.ask(ports, None, OWN).answer.status == "ready")
        heartbeat(ports, OWN)
        assert asking.ticket(ports, str(MAC), OWN).guest == "lab-a-01"
        for wrong in (OTHER, IPv4Address("10.77.0.20"), IPv4Address("10.77.0.129"), None):
            with pytest.raises(NotAllowed) as refused:
                asking.ticket(ports, str(MAC), wrong)
            with pytest.raises(NotAllowed):
                asking.heartbeat(ports, str(MAC), wrong, viewer="none")
            assert wrong is None or "labvirt lab dhcp lab-a" in refused.value.hint
        assert {lease.mac for lease in engine.leases("lab-a")} == {MAC, MacAddress(0x020000000002)}  # of guests nothing is claimed
        seat = inspect.overview(ports).labs[0].seats[0]
        assert (seat.terminal_lease, seat.guest_lease) == (None, None)
        assert inspect.overview(ports).labs[0].leases_problem == inspect.CAMPUS_GIVES
        assert inspect.explain(ports, "lab-a-01").lease_problem == inspect.CAMPUS_GIVES


def test_what_the_lab_gave_before_is_believed_no_longer_and_the_way_back_is_open(sim: SimLab) -> None:
    sim.furnish(lab(seats=4), terminals=1)
    with sim.engine() as engine:
        ports = sim.ports(engine)
        served(sim, engine, DhcpMode.OWN)
        with pytest.raises(NotAllowed, match="does not hold the lease"):
            heartbeat(ports, OWN)
        lease = sim.dhcp.ask("lab-a", MAC)
        assert lease is not None
        assert lease.address == OWN
        heartbeat(ports, OWN)
        stranger = sim.dhcp.ask("lab-a", MacAddress(0x00DEAD000001))
        assert stranger is not None
        labs.change(ports, "lab-a", dhcp=DhcpMode.NONE)
        wanted = served(sim, engine, DhcpMode.NONE)
        assert sim.dhcp.leases("lab-a") != ()  # still in our server's memory
        assert [(each.mac, each.expires) for each in engine.leases("lab-a")] == [(MAC, None)]
        network = wish_of(labs.one(ports, "lab-a"), (), 8080).network
        assert network.dhcp_servers == (IPv4Address("10.77.0.2"), IPv4Address("10.77.0.15"))
        assert wanted.mode is DhcpMode.NONE
        labs.change(ports, "lab-a", dhcp=DhcpMode.OWN)
        served(sim, engine, DhcpMode.OWN)
        assert stranger.mac in {each.mac for each in engine.leases("lab-a")}
        assert wish_of(labs.one(ports, "lab-a"), (), 8080).network.dhcp_servers is None
