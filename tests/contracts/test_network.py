# SPDX-License-Identifier: MIT
"""What every Network promises: the fake, and Linux in a network namespace of its own."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labvirt.contracts.network import Network, NetworkState
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.errors import NetworkError
from labvirt.network.driver import LinuxNetwork
from labvirt.network.fake import FakeNetwork
from tests.network.namespace import Namespace
from tests.network.wire import guest_port, lab_a

LAB, OTHER = lab_a(), lab_a(1)
EMPTY = NetworkState(bridges=frozenset(), taps=frozenset(), filtered=frozenset(), rules_intact=False)


class Kind:
    """How a driver is made anew, as by an engine that starts again, and how another tool harms it."""

    def __init__(self, memory: Path | None) -> None:
        self._memory = memory

    def make(self) -> Network:
        return LinuxNetwork() if self._memory is None else FakeNetwork(self._memory)

    def flush(self) -> None:
        if self._memory is None:
            subprocess.run(["nft", "flush", "ruleset"], check=True)
        else:
            FakeNetwork(self._memory).flush()


@pytest.fixture(params=["fake", pytest.param("linux", marks=pytest.mark.real)])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "fake":
        yield Kind(tmp_path / "fake" / "network.json")
        return
    namespace = Namespace()
    try:
        with namespace.entered():
            yield Kind(None)
    finally:
        namespace.close()


@pytest.fixture
def network(kind: Kind) -> Network:
    return kind.make()


def test_nothing_is_there_at_first(network: Network) -> None:
    assert network.state() == EMPTY
    assert network.flows() == ()


def test_a_lab_and_its_ports_come_and_go(network: Network) -> None:
    network.ensure_lab(LAB)
    network.ensure_lab(LAB)
    first, second = guest_port(1), guest_port(2)
    network.plug(first)
    network.plug(first)
    network.plug(second)
    both = frozenset({first.tap, second.tap})
    assert network.state() == NetworkState(bridges=frozenset({LAB.bridge}), taps=both, filtered=both, rules_intact=True)
    network.unplug(first.tap)
    network.unplug(first.tap)
    assert network.state().taps == network.state().filtered == {second.tap}
    network.remove_lab(LAB.bridge)
    network.remove_lab(LAB.bridge)
    assert network.state() == dataclasses.replace(EMPTY, rules_intact=True)


def test_removing_a_lab_leaves_the_others(network: Network) -> None:
    for lab, block in ((LAB, 0), (OTHER, 1)):
        network.ensure_lab(lab)
        network.plug(guest_port(1, block))
    network.remove_lab(LAB.bridge)
    state = network.state()
    assert state.bridges == {OTHER.bridge}
    assert state.taps == state.filtered == {guest_port(1, 1).tap}
    assert state.rules_intact


def test_a_lab_may_change_while_its_ports_are_plugged(network: Network) -> None:
    network.ensure_lab(LAB)
    network.plug(guest_port(1))
    network.ensure_lab(dataclasses.replace(LAB, controller_port=9090))
    state = network.state()
    assert state.rules_intact
    assert state.filtered == {guest_port(1).tap}


def test_a_port_may_become_another_guests(network: Network) -> None:
    network.ensure_lab(LAB)
    network.plug(guest_port(1))
    other = dataclasses.replace(guest_port(2), tap=guest_port(1).tap, owner_uid=65533)
    network.plug(other)
    assert network.state().taps == network.state().filtered == {other.tap}


def test_an_engine_that_starts_anew_sees_what_is_there(kind: Kind, network: Network) -> None:
    network.ensure_lab(LAB)
    network.plug(guest_port(1))
    assert kind.make().state() == network.state()
    kind.make().unplug(guest_port(1).tap)
    assert network.state().taps == frozenset()


def test_flushed_rules_are_said_and_mended_with_all_ports(kind: Kind, network: Network) -> None:
    network.ensure_lab(LAB)
    network.plug(guest_port(1))
    whole = network.state()
    kind.flush()
    harmed = network.state()
    assert harmed == dataclasses.replace(whole, filtered=frozenset(), rules_intact=False)
    kind.make().ensure_lab(LAB)
    assert network.state() == whole


def test_a_port_without_its_bridge_is_refused_and_leaves_nothing(network: Network) -> None:
    network.ensure_lab(OTHER)
    with pytest.raises(NetworkError, match="lvb000") as caught:
        network.plug(guest_port(1))
    assert caught.value.hint
    assert network.state().taps == frozenset()


def test_names_of_others_are_refused(network: Network) -> None:
    network.ensure_lab(LAB)
    with pytest.raises(NetworkError):
        network.ensure_lab(dataclasses.replace(LAB, bridge=InterfaceName("docker0")))
    with pytest.raises(NetworkError):
        network.plug(dataclasses.replace(guest_port(1), tap=InterfaceName("tap0")))
    assert network.state().bridges == {LAB.bridge}
    assert network.state().taps == frozenset()


def test_a_display_is_granted_to_one_and_only_in_its_range(network: Network) -> None:
    network.ensure_lab(LAB)
    for source in ("10.77.0.65", "10.77.0.66", "10.77.0.66"):
        network.grant_display(LAB.bridge, IPv4Address(source), 20001)
    network.revoke_display(LAB.bridge, 20001)
    network.revoke_display(LAB.bridge, 20001)
    network.revoke_display(OTHER.bridge, 20001)
    for bridge, port in ((LAB.bridge, 22), (OTHER.bridge, 20001)):
        with pytest.raises(NetworkError):
            network.grant_display(bridge, IPv4Address("10.77.0.65"), port)
    assert network.state().rules_intact


def test_who_is_to_wake_is_called_on_the_bridge_of_the_lab(kind: Kind, network: Network) -> None:
    macs = (MacAddress(0x525400000001), MacAddress(0x525400000002))
    with pytest.raises(NetworkError, match="not there"):
        network.wake(LAB.bridge, macs)
    network.ensure_lab(LAB)
    network.wake(LAB.bridge, macs)
    if isinstance(network, FakeNetwork):
        assert network.woken(LAB.bridge) == list(macs)
        assert network.woken(OTHER.bridge) == []
