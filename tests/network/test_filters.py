# SPDX-License-Identifier: MIT
"""What guests, terminals and strangers reach on the host; and that no moment is without rules."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from labvirt.domain.addresses import InterfaceName
from labvirt.errors import HostNotReady, NetworkError
from labvirt.network import links, tap
from labvirt.network.driver import LinuxNetwork
from labvirt.network.nftables.ruleset import FLOW_SECONDS
from tests.network import frames, namespace, wire
from tests.network.frames import ACK, BROADCAST, NOBODY, RST, SYN
from tests.network.namespace import Namespace

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
PORTS = (22, 53, 80, 8080, 5900, 16509, 20001, 20002)
"""A host has more open than it should: SSH, DNS, the controller, VNC, libvirt, displays."""


@contextlib.contextmanager
def listening(*ports: int) -> Iterator[None]:
    """The host listens on all its addresses."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            server = stack.enter_context(socket.create_server(("0.0.0.0", port), backlog=64))
            server.listen()
        yield


def reached(w: wire.Wire, who: wire.Card, target: IPv4Address, ports: tuple[int, ...]) -> set[int]:
    """TCP ports that answer a raw SYN of this card, with SYN-ACK or with a refusal."""
    who.send(frames.arp(BROADCAST, who.mac, 1, (who.mac, who.address), (NOBODY, w.gateway)))
    for port in ports:
        who.send(frames.tcp(w.gateway_mac, who.mac, (who.address, target), (4000, port), SYN))
    heads = [frame[34:48] for frame in w.heard(who) if frame[12:14] == b"\x08\x00" and frame[23] == 6]
    return {int.from_bytes(head[:2], "big") for head in heads if head[13] & (SYN | RST)}


def connects(from_: Namespace, target: IPv4Address, port: int, seconds: float = 5.0) -> bool:
    """Can a new connection be made from there? An answer takes no time here, so a short wait is enough for a no."""
    with from_.entered():
        try:
            socket.create_connection((str(target), port), timeout=seconds).close()
        except TimeoutError:
            return False
        return True


def test_a_guest_reaches_dns_on_the_gateway_and_nothing_else_of_the_host() -> None:
    elsewhere = IPv4Address("192.0.2.7")

    def open_addresses() -> None:
        with IPRoute() as route:
            route.addr("add", index=1, address=str(elsewhere), prefixlen=32)

    plain, lab = wire.make(filtered=False), wire.make(filtered=True)
    try:
        for w, expected in ((plain, set(PORTS)), (lab, {53})):
            with w.namespace.entered(), listening(*PORTS):
                open_addresses()
                assert reached(w, w.attacker, w.gateway, PORTS) == expected
                assert reached(w, w.attacker, elsewhere, PORTS) == (set(PORTS) if w is plain else set())
        with lab.namespace.entered(), listening(*PORTS):  # terminals get at what the gateway offers, but displays
            assert reached(lab, lab.terminal, lab.gateway, PORTS) == set(PORTS) - {20001, 20002}
            assert reached(lab, lab.terminal, elsewhere, PORTS) == set()
    finally:
        plain.close()
        lab.close()


def test_a_guest_gets_no_frame_through_the_host_to_another_guest_or_lab() -> None:
    def detoured(w: wire.Wire) -> list[bool]:
        """Is a packet for the victim and for another lab's guest, sent to the host's card, routed there?"""
        with w.namespace.entered():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            with IPRoute() as route:
                if w.network:
                    w.network.ensure_lab(wire.lab_a(1))
                else:
                    route.link("add", ifname="lvb001", kind="bridge")
                    other = route.link_lookup(ifname="lvb001")[0]
                    route.addr("add", index=other, address="10.77.1.1", prefixlen=24)
                    route.link("set", index=other, state="up")
                wire.plain_port("term3", "lvb001")
                card = wire.Card("term3", "06:00:00:00:00:03", IPv4Address("10.77.1.130"))
                home, other = (route.link_lookup(ifname=name)[0] for name in ("lvb000", "lvb001"))
                for index, known in ((home, w.victim), (other, card), (home, w.attacker)):
                    route.neigh("replace", index=index, dst=str(known.address), lladdr=known.mac, state="permanent")
        for receiver in (w.victim, card):
            ends = (w.attacker.address, receiver.address)
            w.attacker.send(frames.udp(w.gateway_mac, w.attacker.mac, ends, (4000, 4001), b"detour"))
        ends = (w.terminal.address, card.address)
        w.terminal.send(frames.udp(w.gateway_mac, w.terminal.mac, ends, (4000, 4001), b"terminal"))
        last = frames.ethernet(BROADCAST, "06:00:00:00:00:04", 0x88B5, b"last".ljust(46, b"\0"))
        with w.namespace.entered():
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            ear.bind(("lvb001", 0))
            ear.send(last)
            ear.close()
        got = []
        while (frame := card.read()) != last:
            got.append(frame or b"")
            assert len(got) < 1_000_000
        card.close()
        mine = w.heard(w.victim)
        return [
            any(f.endswith(b"detour") for f in mine),
            any(f.endswith(b"detour") for f in got),
            any(f.endswith(b"terminal") for f in got),
        ]

    plain, lab = wire.make(filtered=False), wire.make(filtered=True)
    try:
        assert detoured(plain) == [True, True, True]
        assert detoured(lab) == [False, False, False]
    finally:
        plain.close()
        lab.close()


def test_a_display_is_open_to_the_granted_terminal_only_and_an_open_session_survives(own_network: Namespace) -> None:
    network, lab = LinuxNetwork(), wire.lab_a()
    network.ensure_lab(lab)
    first, second = Namespace(), Namespace()
    namespace.join(first, "lvb000", "term1", address="10.77.0.65/24")
    namespace.join(second, "lvb000", "term2", address="10.77.0.66/24")
    try:
        with listening(20001, 8080):
            assert connects(first, lab.gateway, 8080)
            assert connects(first, lab.gateway, 20001, 0.5) is False
            network.grant_display(lab.bridge, IPv4Address("10.77.0.65"), 20001)
            with first.entered():
                session = socket.create_connection((str(lab.gateway), 20001), timeout=5)
            assert connects(second, lab.gateway, 20001, 0.5) is False
            assert connects(own_network, lab.gateway, 20001, 0.5) is False
            network.grant_display(lab.bridge, IPv4Address("10.77.0.66"), 20001)
            assert connects(second, lab.gateway, 20001)
            assert connects(first, lab.gateway, 20001, 0.5) is False
            network.revoke_display(lab.bridge, 20001)
            network.revoke_display(lab.bridge, 20001)
            assert connects(second, lab.gateway, 20001, 0.5) is False
            session.settimeout(5)
            session.sendall(b"still here")  # acknowledged: the sent queue empties
            assert _unacknowledged(session) == 0
            session.close()
    finally:
        first.close()
        second.close()


def _unacknowledged(session: socket.socket) -> int:
    """Bytes that the other side has not confirmed (SIOCOUTQ), after waiting for them for a while."""
    deadline = time.monotonic() + 5
    while True:
        left = int(struct.unpack("i", fcntl.ioctl(session.fileno(), 0x5411, bytes(4)))[0])
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.01)


def test_a_stranger_in_quarantine_reaches_the_controller_only_and_no_guest() -> None:
    w = wire.make(filtered=True)
    try:
        pc = w.terminal  # the same machine, first adopted, then with an address for strangers
        for address, ports in ((pc.address, set(PORTS) - {20001, 20002}), (IPv4Address("10.77.0.20"), {53, 8080})):
            pc.address = address
            with w.namespace.entered(), listening(*PORTS):
                assert reached(w, pc, w.gateway, PORTS) == ports
            call = frames.tcp(w.victim.mac, pc.mac, (address, w.victim.address), (4000, 3389), SYN)
            asks = frames.arp(BROADCAST, pc.mac, 1, (pc.mac, address), (NOBODY, w.victim.address))
            pc.send(call, asks)
            heard = w.heard(w.victim)
            assert (call in heard, asks in heard) == (22 in ports, 22 in ports)
    finally:
        w.close()


def test_rules_flushed_by_another_tool_are_noticed_and_mended_for_all_ports() -> None:
    w = wire.make(filtered=True)
    assert w.network is not None
    try:
        with w.namespace.entered():
            forged = frames.arp(BROADCAST, w.attacker.mac, 1, (w.attacker.mac, w.victim.address), (NOBODY, w.gateway))
            w.attacker.send(forged)
            assert forged not in w.heard(w.host)
            before = w.network.state()
            assert before.rules_intact
            subprocess.run(["nft", "flush", "ruleset"], check=True)
            w.attacker.send(forged)
            assert forged in w.heard(w.host)  # the control: without rules it passes
            assert w.network.state().rules_intact is False
            assert w.network.state().filtered == frozenset()
            LinuxNetwork().ensure_lab(wire.lab_a())  # an engine that has just started knows nothing
            assert w.network.state() == before
            w.attacker.send(forged)
            assert forged not in w.heard(w.host)
    finally:
        w.close()


@pytest.mark.parametrize(
    "harm",
    [
        "delete table inet labvirt",
        "flush chain bridge labvirt guest_ip",
        "insert rule bridge labvirt prerouting accept",
        "add rule bridge labvirt guest_to_host accept",
        "flush set bridge labvirt networks",
        "add chain bridge labvirt forward { policy drop; }",
        "add table bridge labvirt { flags dormant; }",
    ],
)
def test_every_harm_to_the_rules_is_noticed_and_mended(harm: str, own_network: Namespace) -> None:
    network, lab = LinuxNetwork(), wire.lab_a()
    network.ensure_lab(lab)
    network.plug(wire.guest_port(1))
    whole = network.state()
    assert whole.rules_intact
    subprocess.run(["nft", harm], check=True)
    assert network.state().rules_intact is False
    network.ensure_lab(lab)
    assert network.state() == whole


def test_plugging_after_a_flush_brings_the_rules_back_first(own_network: Namespace) -> None:
    network = LinuxNetwork()
    network.ensure_lab(wire.lab_a())
    network.plug(wire.guest_port(1))
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    network.plug(wire.guest_port(2))
    state = network.state()
    assert state.rules_intact
    assert len(state.filtered) == 2


def _speaking() -> set[tuple[str, ...]]:
    """(port, MAC, address) of all that may speak, as nft itself lists them."""
    text = subprocess.run(["nft", "-j", "list", "set", "bridge", "labvirt", "ports"], check=True, capture_output=True, text=True).stdout
    sets = [thing["set"] for thing in json.loads(text)["nftables"] if "set" in thing]
    return {tuple(element["concat"]) for element in sets[0].get("elem", [])}


def test_what_others_changed_is_seen_at_the_next_deed(own_network: Namespace) -> None:
    """Rules are remembered only as long as nobody else changes any: neither a lost identity nor a second one outlives the next plug."""
    network, one, other = LinuxNetwork(), wire.guest_port(1), wire.guest_port(2)
    network.ensure_lab(wire.lab_a())
    network.plug(one)
    network.plug(other)
    network.plug(one)  # known by now
    right = {(str(port.tap), str(port.mac), str(port.address)) for port in (one, other)}
    assert _speaking() == right
    element = f"{{ {one.tap} . {one.mac} . {one.address} }}"
    second = f"{{ {one.tap} . {other.mac} . {other.address} }}"
    for harm in (f"delete element bridge labvirt ports {element}", f"add element bridge labvirt ports {second}"):
        subprocess.run(["nft", harm], check=True)
        assert _speaking() != right
        network.plug(one)
        assert _speaking() == right
    subprocess.run(["nft", f"add element bridge labvirt ports {second}"], check=True)
    network.unplug(one.tap)
    assert _speaking() == {(str(other.tap), str(other.mac), str(other.address))}
    network.plug(one)
    assert _speaking() == right


def test_an_unknown_guest_port_is_closed() -> None:
    w = wire.make(filtered=True)
    try:
        with w.namespace.entered():
            names = ("lvt000fff", "nobody0")
            for name in names:
                wire.plain_port(name, "lvb000")
            stranger, control = (wire.Card(name, "02:4c:56:00:0f:ff", IPv4Address("10.77.0.200")) for name in names)
            asks = frames.arp(BROADCAST, stranger.mac, 1, (stranger.mac, stranger.address), (NOBODY, w.gateway))
            discover = frames.udp(BROADCAST, stranger.mac, (IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")), (68, 67), b"")
            for card, passes in ((control, True), (stranger, False)):
                card.send(asks, discover)
                for ear in (w.host, w.terminal):
                    heard = w.heard(ear)
                    assert (asks in heard, discover in heard) == (passes, passes)
            stranger.close()
            control.close()
    finally:
        w.close()


KILLED = """
import os, sys
from labvirt.network import tap
from labvirt.network.driver import LinuxNetwork
from tests.network.wire import guest_port
step = sys.argv[1]
def dies(*a, **k):
    if step == "after": ensure(*a, **k)
    os.kill(os.getpid(), 9)
ensure, tap.ensure = tap.ensure, dies
if step == "rules":
    network = LinuxNetwork()
    tap.ensure = ensure
    network._set_port = lambda *a: None
    network.plug(guest_port(3))
    os.kill(os.getpid(), 9)
LinuxNetwork().plug(guest_port(3))
"""


@pytest.mark.parametrize("step", ["before", "after", "rules"])
def test_a_plug_killed_anywhere_leaves_no_port_that_speaks_as_somebody_else(step: str) -> None:
    """before: identity, no TAP. after: both. rules: a TAP without any rule, which the real order never makes."""
    w = wire.make(filtered=True)
    assert w.network is not None
    try:
        with w.namespace.entered():
            dead = subprocess.run([sys.executable, "-c", KILLED, step], cwd=ROOT, check=False)
            assert dead.returncode == -9
            port = wire.guest_port(3)
            if step == "before":
                assert links.index_of(port.tap) is None
            else:
                card = wire.Card(str(port.tap), str(port.mac), port.address)
                honest = frames.arp(BROADCAST, card.mac, 1, (card.mac, card.address), (NOBODY, w.gateway))
                forged = frames.arp(BROADCAST, card.mac, 1, (card.mac, w.victim.address), (NOBODY, w.gateway))
                card.send(honest, forged)
                heard = w.heard(w.host)
                assert forged not in heard
                assert (honest in heard) == (step == "after")
                card.close()
            w.network.plug(port)  # the next engine finishes it
            assert port.tap in w.network.state().filtered
            card = wire.Card(str(port.tap), str(port.mac), port.address)
            honest = frames.arp(BROADCAST, card.mac, 1, (card.mac, card.address), (NOBODY, w.gateway))
            card.send(honest)
            assert honest in w.heard(w.host)
            card.close()
    finally:
        w.close()


def test_rules_stand_before_the_port_is_up(own_network: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    network, port, seen = LinuxNetwork(), wire.guest_port(1), []
    network.ensure_lab(wire.lab_a())
    ensure = tap.ensure

    def looks(*args: object) -> None:
        listing = subprocess.run(["nft", "list", "set", "bridge", "labvirt", "ports"], check=True, capture_output=True)
        seen.append((str(port.address).encode() in listing.stdout, links.index_of(port.tap)))
        ensure(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(tap, "ensure", looks)
    network.plug(port)
    assert seen == [(True, None)]
    network.unplug(port.tap)
    listing = subprocess.run(["nft", "list", "set", "bridge", "labvirt", "ports"], check=True, capture_output=True)
    assert str(port.address).encode() not in listing.stdout


def test_rdp_is_seen_once_it_is_established_and_only_between_terminal_and_guest() -> None:
    w = wire.make(filtered=True)
    assert w.network is not None
    try:
        ends = (w.terminal.address, w.victim.address)
        with w.namespace.entered():
            w.terminal.send(frames.tcp(w.victim.mac, w.terminal.mac, ends, (4000, 3389), SYN))
            w.terminal.send(frames.tcp(w.victim.mac, w.terminal.mac, ends, (4000, 3390), ACK))
            w.attacker.send(frames.tcp(w.victim.mac, w.attacker.mac, (w.attacker.address, w.victim.address), (4000, 3389), ACK))
            w.heard(w.victim)
            assert w.network.flows() == ()
            w.terminal.send(frames.tcp(w.victim.mac, w.terminal.mac, ends, (4000, 3389), ACK))
            w.heard(w.victim)
            (flow,) = w.network.flows()
            assert (flow.source, flow.destination, flow.port) == (*ends, 3389)
            ages = subprocess.run(["nft", "list", "set", "bridge", "labvirt", "flows"], check=True, capture_output=True)
            assert f"timeout {FLOW_SECONDS}s".encode() in ages.stdout
            assert b"expires" in ages.stdout
    finally:
        w.close()


def test_the_tap_can_be_opened_by_its_owner_and_by_no_other_user(own_network: Namespace) -> None:
    network = LinuxNetwork()
    network.ensure_lab(wire.lab_a())
    network.plug(wire.guest_port(1))

    def opens(uid: int) -> bool:
        device = os.open("/dev/net/tun", os.O_RDWR)  # before: not every machine lets everybody open it
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(uid, uid, uid)
                fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", b"lvt000001", 0x1002))  # TUNSETIFF
            except OSError:
                os._exit(1)
            os._exit(0)
        os.close(device)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    assert opens(65534)
    assert not opens(65533)


def test_a_name_that_something_else_has_is_left_alone(own_network: Namespace) -> None:
    network = LinuxNetwork()
    network.ensure_lab(wire.lab_a())
    namespace.join(None, "lvb000", "lvt000001")
    with pytest.raises(NetworkError, match="lvt000001 that is no TAP"):
        network.plug(wire.guest_port(1))
    assert links.index_of(InterfaceName("lvt000001")) is not None  # it is not ours: it stays, and stays closed
    assert network.state().filtered == frozenset()


def test_without_the_right_the_sentence_says_what_to_run(own_network: Namespace) -> None:
    def asked(uid: int) -> bytes:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(uid, uid, uid)  # capabilities go with user 0
                LinuxNetwork().ensure_lab(wire.lab_a())
            except HostNotReady as error:
                os.write(writing, error.hint.encode())
            finally:
                os._exit(0)
        os.close(writing)
        os.waitpid(child, 0)
        with open(reading, "rb") as answer:
            return answer.read()

    assert b"CAP_NET_ADMIN" in asked(65534)
    assert asked(0) == b""
    assert LinuxNetwork().state().bridges == {wire.lab_a().bridge}
