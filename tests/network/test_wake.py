# SPDX-License-Identifier: MIT
"""Magic packets on a real bridge: the sleeping machine's cable carries one, another lab's does not."""

from __future__ import annotations

import socket
import struct

import pytest

from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.network import magic
from labvirt.network.driver import LinuxNetwork
from tests.network.namespace import Namespace, join
from tests.network.wire import lab_a

pytestmark = pytest.mark.real

MAC = MacAddress.parse("52:54:00:00:00:01")
HERE, ELSEWHERE = lab_a(), lab_a(1)
SECONDS = 10.0


class Asleep:
    """A machine that is off: its card hears every frame, and nobody in it answers."""

    def __init__(self, host: Namespace, bridge: InterfaceName, name: str) -> None:
        self.network = Namespace()
        with host.entered():
            join(self.network, str(bridge), name)
        with self.network.entered():
            self.card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))  # ETH_P_IP, linux/if_ether.h
            self.card.bind(("eth0", 0))

    def frame(self, seconds: float) -> bytes | None:
        """The next magic packet, with its headers."""
        self.card.settimeout(seconds)
        try:
            while True:
                frame = self.card.recv(2048)
                if b"\xff" * 6 + b"\x52\x54\x00\x00\x00\x01" in frame[14:]:
                    return frame
        except TimeoutError:
            return None

    def close(self) -> None:
        self.card.close()
        self.network.close()


def test_a_sleeping_machine_hears_its_packet_and_another_lab_does_not() -> None:
    host, machines = Namespace(), []
    try:
        with host.entered():
            network = LinuxNetwork()
            network.ensure_lab(HERE)
            network.ensure_lab(ELSEWHERE)
        machines = [Asleep(host, HERE.bridge, "pc1"), Asleep(host, ELSEWHERE.bridge, "pc2")]
        with host.entered():
            network.wake(HERE.bridge, (MAC,))
        frame = machines[0].frame(SECONDS)
        assert frame is not None
        assert frame[:6] == b"\xff" * 6
        assert frame[26:30] == HERE.gateway.packed
        assert frame[30:34] == HERE.network.broadcast_address.packed
        assert struct.unpack("!H", frame[36:38]) == (9,)
        assert frame[42:] == b"\xff" * 6 + bytes.fromhex("525400000001") * 16 == magic.packet(MAC)
        assert machines[1].frame(0.3) is None
        with host.entered():
            network.wake(ELSEWHERE.bridge, (MAC,))  # the control: it would have heard one
        assert machines[1].frame(SECONDS) is not None
    finally:
        for machine in machines:
            machine.close()
        host.close()
