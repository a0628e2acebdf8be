# SPDX-License-Identifier: MIT
"""A clone that has greeted, and how it wakes where its template was frozen: device state by a descriptor, the seat's network card, go."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.domain.template import TemplateName
from labvirt.errors import HypervisorError, TemplateUnfit
from labvirt.hypervisors.qemu import command
from labvirt.hypervisors.qemu.dialogue import Dialogue
from labvirt.system.tap import open_tap

CAPABILITIES = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
"""The RAM is in a file of its own and not in the state; MIGRATION events say how it goes (qapi/migration.json)."""
ENDS = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Of which template, and descriptors of its sealed RAM and of its state, read from the beginning."""

    template: TemplateName
    ram: int
    state: int


class Sleeper:
    """A clone that has greeted: it gets its template's state, and then wakes. Until it has woken it is no run of anybody; `closing` lets
    go of what it was made with. `is_over` may be asked by any thread, the rest by one at a time."""

    def __init__(self, spec: LaunchSpec, fork: Fork, connection: socket.socket, complete: Callable[[], None], closing: ExitStack) -> None:
        """`complete` is called when it has everything and only stands still. `fork` may be let go afterwards."""
        self.spec = spec
        self.loaded = False
        self._template = fork.template
        self._state = os.dup(fork.state)
        closing.callback(os.close, self._state)
        self._dialogue = Dialogue(connection, spec.run.guest, deadline=0.0)
        self._complete = complete
        self._closing = closing
        self._talking = threading.Lock()

    def load(self, seconds: float) -> None:
        """It stands where its template was frozen. Raises TemplateUnfit (QEMU does not take the state), HypervisorError, DriverTimeout."""
        with self._talking:
            self._load(seconds)

    def _load(self, seconds: float) -> None:
        dialogue = self._dialogue
        dialogue.give(seconds)
        dialogue.execute("qmp_capabilities")
        dialogue.execute("migrate-set-capabilities", capabilities=CAPABILITIES)
        dialogue.execute("getfd", descriptor=self._state, fdname="state")
        dialogue.execute("migrate-incoming", uri="fd:state")
        if (end := dialogue.await_event("MIGRATION", status=ENDS)["status"]) != "completed":
            raise TemplateUnfit(str(self._template), f"QEMU does not take its state ({end})")
        self.loaded = True

    def wake(self, seconds: float) -> None:
        """It runs, with its network card. Raises what `load` raises."""
        with self._talking:
            if not self.loaded:
                self._load(seconds)
            self._dialogue.give(seconds)
            if self.spec.port is not None:
                _plug(self.spec, self._dialogue)
            self._complete()
            self._dialogue.execute("cont")

    def is_over(self) -> bool:
        """Has its process ended? While it is spoken to, whoever does that finds out."""
        if not self._talking.acquire(blocking=False):
            return False
        try:
            return self._dialogue.is_over()
        finally:
            self._talking.release()

    def close(self) -> None:
        """Nothing of it is held here any more: its process goes on as a run, or is the caller's to end."""
        self._closing.close()


def _plug(spec: LaunchSpec, dialogue: Dialogue) -> None:
    port, name = spec.port, spec.run.guest
    assert port is not None
    try:
        tap = open_tap(str(port.tap))
    except OSError as error:
        reasons = {
            errno.ENODEV: f"its network port {port.tap} does not exist",
            errno.EBUSY: f"another process uses its network port {port.tap}",
        }
        why = reasons.get(error.errno or 0, f"its network port {port.tap} cannot be opened ({error.strerror})")
        raise HypervisorError(f"{name} cannot be started: {why}.", operation="clone", subject=name, hint="labvirt doctor") from error
    try:
        dialogue.execute("getfd", descriptor=tap, fdname="tap")
    finally:
        os.close(tap)
    dialogue.execute("netdev_add", type="tap", id="net0", fd="tap")
    model, bus = command.nic(port.model), command.seat_bus(spec)
    dialogue.execute("device_add", driver=model, netdev="net0", id="nic0", mac=str(port.mac), bus=bus, romfile="")
