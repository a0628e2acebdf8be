# SPDX-License-Identifier: MIT
"""FakeNetwork keeps contracts.network.Network without any right: a network that is only remembered, in a JSON file.

It refuses what the real one refuses. `flush` and `see` play what others do to a real one: another tool, a viewer.
"""

from __future__ import annotations

import json
import threading
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from labvirt.contracts.network import Flow, GuestPort, LabNetwork, NetworkState
from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.errors import NetworkError
from labvirt.network import memo
from labvirt.network.links import BRIDGE_NAME, TAP_NAME
from labvirt.system import files

WOKEN_KEPT = 1000


class FakeNetwork:
    """`file` is the memory: another FakeNetwork with the same file sees the same network."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()

    def ensure_lab(self, lab: LabNetwork) -> None:
        if not BRIDGE_NAME.match(str(lab.bridge)):
            raise NetworkError(f"{lab.bridge} is not a bridge's name of ours.", operation="ensure", subject=str(lab.bridge))
        with self._lock:
            memory = self._load()
            memory["bridges"][str(lab.bridge)] = memo.render_lab(lab)
            if not memory["intact"]:
                memory["intact"] = True
                memory["filtered"] = sorted(memory["taps"])
            self._save(memory)

    def remove_lab(self, bridge: InterfaceName) -> None:
        with self._lock:
            memory = self._load()
            for tap in [tap for tap, (on, _) in memory["taps"].items() if on == str(bridge)]:
                self._forget(memory, tap)
            memory["bridges"].pop(str(bridge), None)
            memory["grants"] = [grant for grant in memory["grants"] if grant[0] != str(bridge)]
            self._save(memory)

    def plug(self, port: GuestPort) -> None:
        if not TAP_NAME.match(str(port.tap)):
            raise NetworkError(f"{port.tap} is not a TAP's name of ours.", operation="plug", subject=str(port.tap))
        with self._lock:
            memory = self._load()
            if str(port.bridge) not in memory["bridges"]:
                self._forget(memory, str(port.tap))
                self._save(memory)
                raise NetworkError(
                    f"The bridge {port.bridge} of {port.tap} is not there.",
                    operation="plug",
                    subject=str(port.tap),
                    hint="The engine makes it again within seconds; try again then.",
                )
            memory["taps"][str(port.tap)] = (str(port.bridge), memo.render_port(port))
            memory["filtered"] = sorted({*memory["filtered"], str(port.tap)})
            memory["intact"] = True
            self._save(memory)

    def unplug(self, tap: InterfaceName) -> None:
        with self._lock:
            memory = self._load()
            self._forget(memory, str(tap))
            self._save(memory)

    def grant_display(self, bridge: InterfaceName, source: IPv4Address, port: int) -> None:
        with self._lock:
            memory = self._load()
            lab = memo.parse_lab(bridge, memory["bridges"].get(str(bridge)))
            if lab is None or not lab.display_ports[0] <= port <= lab.display_ports[1]:
                raise NetworkError(
                    f"{port} is no display port of {bridge}.",
                    operation="grant",
                    subject=str(bridge),
                    hint="labvirt verify",
                )
            memory["grants"] = [grant for grant in memory["grants"] if (grant[0], grant[2]) != (str(bridge), port)]
            memory["grants"].append((str(bridge), str(source), port))
            self._save(memory)

    def revoke_display(self, bridge: InterfaceName, port: int) -> None:
        with self._lock:
            memory = self._load()
            memory["grants"] = [grant for grant in memory["grants"] if (grant[0], grant[2]) != (str(bridge), port)]
            self._save(memory)

    def flows(self) -> tuple[Flow, ...]:
        return tuple(
            Flow(source=IPv4Address(source), destination=IPv4Address(destination), port=port)
            for source, destination, port in self._load()["flows"]
        )

    def wake(self, bridge: InterfaceName, macs: tuple[MacAddress, ...]) -> None:
        with self._lock:
            memory = self._load()
            if str(bridge) not in memory["bridges"]:
                raise NetworkError(
                    f"The bridge {bridge} is not there.",
                    operation="wake",
                    subject=str(bridge),
                    hint="The engine makes it again within seconds.",
                )
            self._save({**memory, "woken": [*memory["woken"], *((str(bridge), str(mac)) for mac in macs)][-WOKEN_KEPT:]})

    def state(self) -> NetworkState:
        memory = self._load()
        taps = frozenset(InterfaceName(tap) for tap in memory["taps"])
        return NetworkState(
            bridges=frozenset(InterfaceName(bridge) for bridge in memory["bridges"]),
            taps=taps,
            filtered=taps & frozenset(InterfaceName(tap) for tap in memory["filtered"]),
            rules_intact=memory["intact"],
        )

    def granted(self, bridge: InterfaceName) -> dict[int, IPv4Address]:
        """Who may connect to which display port of this lab."""
        return {port: IPv4Address(source) for on, source, port in self._load()["grants"] if on == str(bridge)}

    def woken(self, bridge: InterfaceName) -> list[MacAddress]:
        """For whom magic packets went out of this bridge, the oldest first."""
        return [MacAddress.parse(mac) for on, mac in self._load()["woken"] if on == str(bridge)]

    def flush(self) -> None:
        """Another tool has flushed all rules."""
        with self._lock:
            self._save({**self._load(), "intact": False, "filtered": [], "grants": []})

    def see(self, *flows: Flow) -> None:
        """From now these RDP connections, and no others, are on the wire."""
        with self._lock:
            seen = [(str(flow.source), str(flow.destination), flow.port) for flow in flows]
            self._save({**self._load(), "flows": seen})

    @staticmethod
    def _forget(memory: dict[str, Any], tap: str) -> None:
        memory["taps"].pop(tap, None)
        memory["filtered"] = [name for name in memory["filtered"] if name != tap]

    def _load(self) -> dict[str, Any]:
        empty: dict[str, Any] = {"bridges": {}, "taps": {}, "filtered": [], "grants": [], "flows": [], "woken": [], "intact": False}
        try:
            return {**empty, **json.loads(self._file.read_bytes())}
        except FileNotFoundError:
            return empty
        except (OSError, ValueError) as error:
            raise NetworkError(
                f"The fake network's memory {self._file} cannot be read.",
                operation="read",
                subject=str(self._file),
                hint="Remove that file.",
            ) from error

    def _save(self, memory: dict[str, Any]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            files.write_atomic(self._file, json.dumps(memory))
        except OSError as error:
            raise NetworkError(
                f"The fake network's memory {self._file} cannot be written: {error.strerror}.",
                operation="write",
                subject=str(self._file),
                hint="Look at space and rights of the state folder.",
            ) from error
