# SPDX-License-Identifier: MIT
"""A clone that has greeted, woken where its template was frozen: device state by a descriptor, the seat's network card, go."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable
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


def wake(spec: LaunchSpec, fork: Fork, connection: socket.socket, complete: Callable[[], None], *, deadline_seconds: float) -> None:
    """It runs, with its network card. `complete` is called when it has everything and only stands still.

    Raises TemplateUnfit (QEMU does not take the state), HypervisorError, DriverTimeout."""
    dialogue = Dialogue(connection, spec.run.guest, deadline=time.monotonic() + deadline_seconds)
    dialogue.execute("qmp_capabilities")
    dialogue.execute("migrate-set-capabilities", capabilities=CAPABILITIES)
    dialogue.execute("getfd", descriptor=fork.state, fdname="state")
    dialogue.execute("migrate-incoming", uri="fd:state")
    if (end := dialogue.await_event("MIGRATION", status=ENDS)["status"]) != "completed":
        raise TemplateUnfit(str(fork.template), f"QEMU does not take its state ({end})")
    if spec.port is not None:
        _plug(spec, dialogue)
    complete()
    dialogue.execute("cont")


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
