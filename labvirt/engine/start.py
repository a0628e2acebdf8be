# SPDX-License-Identifier: MIT
"""One start: record, overlays, certificate, port, machine; each step with its undo. What a guest is made of is decided in recording.py."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer, Drive, LaunchSpec, NetworkPort, SpiceDisplay
from labvirt.contracts.network import GuestPort
from labvirt.domain.guest import GuestState, StopHow
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Protocol, SlotKind
from labvirt.engine.labs import SETTING_UP
from labvirt.engine.recording import Recording, Refused, guest_uid, record
from labvirt.engine.rows import Rows
from labvirt.engine.world import World
from labvirt.errors import Conflict, HypervisorError, ImageDamaged, LabVirtError, NotFound, Unsupported

log = logging.getLogger(__name__)

LAB_SECONDS = 10.0
"""A bridge, its rules and a DHCP server take a fraction of a second (docs/benchmarks.md); a loaded host takes longer."""


class _MovedOn(Exception):
    """The wish changed while the start was under way: undone, and no failure."""


class Starter:
    """Runs on a worker's thread, as the guest's only operation."""

    def __init__(self, world: World, rows: Rows, lab_ready: Callable[[str], str], wait_ready: Callable[[Recording], None]) -> None:
        """`lab_ready` gives the sentence that says why a lab's network is not there (empty: it is)."""
        self._world = world
        self._rows = rows
        self._lab_ready = lab_ready
        self._wait_ready = wait_ready

    def start(self, name: str, generation: int) -> None:
        """The guest runs afterwards (RUNNING, or STARTING while it boots), or nothing of the try is left and its row says why not.

        Raises DatabaseError when the wish could not be recorded: then nothing was begun.
        """
        attempts = self._world.settings.start_attempts
        try:
            recorded = record(self._world, name, generation)
        except (NotFound, Conflict) as error:  # what it is made of went away while it was looked up
            self._rows.failed(name, generation, error, attempts)
            return
        if recorded is None:
            return
        if isinstance(recorded, Refused):
            self._rows.failed(name, recorded.generation, recorded.why, attempts, final=True)
            return
        self._rows.published(recorded.guest)
        try:
            self._make(recorded)
        except _MovedOn:
            log.info("%s: its wish changed while it was being started; undone", name)
        except LabVirtError as error:
            log.warning("%s could not be started: %s", name, error)
            final = isinstance(error, ImageDamaged | Unsupported)
            self._rows.failed(name, recorded.guest.generation, error, attempts, final=final)
        except Exception:
            why = "a mistake of the program (the engine's log has it)"
            self._rows.failed(name, recorded.guest.generation, why, attempts)
            raise
        else:
            self._wait_ready(recorded)

    def _make(self, recorded: Recording) -> None:
        with ExitStack() as stack:
            undo = _Undo(recorded.guest.name)
            world, run = self._world, recorded.run
            self._says(recorded, "its disks are being made")
            stack.callback(undo, "its folder could not be removed", lambda: world.disks.remove_run(run))
            chains = dict(world.disks.create_run(run, recorded.versions, uid=recorded.uid))
            folder = world.disks.open_run(run)
            if folder is None:
                raise HypervisorError(f"The folder of {run} is gone.", operation="start", subject=recorded.guest.name)
            spice = None
            if recorded.profile.protocol is Protocol.SPICE:
                spice = SpiceDisplay(address=recorded.lab.network.gateway, tls_port=recorded.identity.display_port, tls=folder.path / "tls")
                world.authority.issue(spice.tls, name=recorded.guest.name, address=spice.address, uid=recorded.uid)
            self._says(recorded, "its network port is being made")
            if problem := self._lab_problem(recorded.lab.name):
                raise HypervisorError(
                    f"The network of {recorded.lab.name} is not ready: {problem}", operation="start", subject=recorded.guest.name
                )
            stack.callback(undo, "its TAP could not be removed", lambda: world.network.unplug(recorded.identity.tap))
            world.network.plug(port_for(world, recorded.lab, recorded.identity.seat))
            self._says(recorded, "its machine is being started")
            stack.callback(undo, "its machine could not be killed", lambda: world.hypervisor.stop(run, StopHow.KILL), first=True)
            world.hypervisor.start(spec_of(recorded, folder.path, chains, spice))
            stack.pop_all()

    def _lab_problem(self, lab: str) -> str:
        """Why the lab's network is not there. One that is just being set up (the lab is new, the engine has just begun) is waited for."""
        clock, pause = self._world.clock, threading.Event()
        deadline = clock.monotonic() + LAB_SECONDS
        while (problem := self._lab_ready(lab)) == SETTING_UP and clock.monotonic() < deadline:
            pause.wait(0.05)
        return problem

    def _says(self, recorded: Recording, reason: str) -> None:
        """Before each side effect: is it still wanted? A newer wish wins over this start."""
        guest = recorded.guest
        if self._rows.move(guest.name, guest.generation, GuestState.STARTING, reason) is None:
            raise _MovedOn


class _Undo:
    """Takes a step back and logs what goes wrong. When the machine may still live, its disks and port stay."""

    def __init__(self, guest: str) -> None:
        self._guest = guest
        self._unsafe = False

    def __call__(self, problem: str, deed: Callable[[], None], *, first: bool = False) -> None:
        if self._unsafe:
            return
        try:
            deed()
        except LabVirtError as error:
            self._unsafe = first
            log.error("%s: %s: %s", self._guest, problem, error)


def port_for(world: World, lab: Lab, seat: int) -> GuestPort:
    """The port of this seat: the same at its start and whenever its filters are set again."""
    identity = lab.identity(seat)
    uid = guest_uid(world, lab, seat)
    return GuestPort(
        tap=identity.tap,
        bridge=lab.bridge,
        mac=identity.mac,
        address=identity.address,
        owner_uid=world.own_uid if uid is None else uid,
    )


def spec_of(recorded: Recording, folder: Path, chains: dict[int, tuple[DiskLayer, ...]], spice: SpiceDisplay | None) -> LaunchSpec:
    profile, identity = recorded.profile, recorded.identity
    drives = tuple(
        Drive(
            bus=placed.slot.bus,
            index=placed.index,
            cdrom=placed.slot.kind is SlotKind.CDROM,
            chain=chains.get(place, ()),
        )
        for place, placed in enumerate(profile.placed())
        if placed.slot.kind is not SlotKind.EMPTY
    )
    return LaunchSpec(
        run=recorded.run,
        folder=folder,
        uuid=identity.uuid,
        serial=identity.serial,
        memory_mib=profile.memory_mib,
        cpus=profile.cpus,
        firmware=profile.firmware,
        machine=profile.machine,
        clock=profile.clock,
        drives=drives,
        port=NetworkPort(tap=identity.tap, mac=identity.mac, model=profile.nic),
        spice=spice,
        video=profile.video,
        sound=profile.sound,
        uid=recorded.uid,
    )
