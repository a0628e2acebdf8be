# SPDX-License-Identifier: MIT
"""One start: record, overlays, certificate, port, machine; each step with its undo. What a guest is made of is decided in recording.py,
what its driver is told is put together in launch.py.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from labvirt.contracts.hypervisor import Capability, HypervisorInfo
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.guest import Guest, GuestState, Purpose, StopHow
from labvirt.domain.pool import SpareKind
from labvirt.engine.keeping import Keeping
from labvirt.engine.labs import SETTING_UP
from labvirt.engine.launch import port_for
from labvirt.engine.making import described, make_files
from labvirt.engine.recording import Recording, Refused, record
from labvirt.engine.rows import Rows, one_sentence
from labvirt.engine.spares import Held, Spares
from labvirt.engine.templates import HostTemplates
from labvirt.engine.world import World
from labvirt.errors import (
    Conflict,
    DriverTimeout,
    HypervisorError,
    ImageDamaged,
    InvalidInput,
    LabVirtError,
    NetworkError,
    NotFound,
    TemplateUnfit,
    Unsupported,
)

log = logging.getLogger(__name__)

LAB_SECONDS = 10.0
"""A bridge, its rules and a DHCP server take a fraction of a second (docs/benchmarks.md); a loaded host takes longer."""


LONG_SECONDS = 1.0
"""A version's file is read and compared before its first use (contracts.images: `proven`): when that takes longer, the seat is told."""


class _MovedOn(Exception):
    """The wish changed while the start was under way: undone, and no failure."""


class Starter:
    """Runs on a worker's thread, as the guest's only operation."""

    def __init__(
        self,
        world: World,
        rows: Rows,
        lab_ready: Callable[[str], str],
        wait_ready: Callable[[Recording], None],
        keeping: Keeping,
        info: Callable[[], HypervisorInfo | None],
        templates: HostTemplates,
        spares: Spares,
    ) -> None:
        """`lab_ready` gives the sentence that says why a lab's network is not there (empty: it is); `info` is None while the driver has
        not said yet what it can do."""
        self._world = world
        self._keeping = keeping
        self._info = info
        self._templates = templates
        self._spares = spares
        self._rows = rows
        self._lab_ready = lab_ready
        self._wait_ready = wait_ready

    def start(self, name: str, generation: int) -> None:
        """The guest runs afterwards (RUNNING, or STARTING while it boots), or nothing of the try is left and its row says why not.

        Raises DatabaseError when the wish could not be recorded: then nothing was begun.
        """
        attempts = self._world.settings.start_attempts
        self._keeping.before_start(name, generation)
        try:
            recorded = record(self._world, name, generation)
        except (NotFound, Conflict, InvalidInput) as error:  # what it is made of went away while it was looked up
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
        """From the clone that waits for it; else from a template when its profile wants that and one is there; from its disk otherwise, and
        whenever that fails."""
        why = ""
        held = self._spares.claim(recorded)
        if held is not None:
            try:
                self._wake(recorded, held)
                self._spares.served(recorded, str(held.spare.kind))
                return
            except (HypervisorError, DriverTimeout, TemplateUnfit, NotFound) as error:
                log.warning("%s, which waited, could not be woken: %s", recorded.run, error)
        with self._templates.offered(recorded) as offered:
            why = offered.why
            if offered.template is not None:
                name = offered.template.template.name
                try:
                    self._try(recorded, offered.template, f"clone of {name}")
                    self._spares.served(recorded, "clone")
                    return
                except TemplateUnfit as error:
                    log.warning("%s: %s", recorded.run, error)
                    why = f"{name}: {error.why}"
                    self._templates.unfit(name, error.why)
                except (HypervisorError, DriverTimeout, NotFound, ValueError) as error:
                    log.warning("%s could not be cloned from %s, and boots: %s", recorded.run, name, error)
                    why = f"the clone of {name} failed: {one_sentence(str(error))}"
        self._try(recorded, None, f"boot: {why}" if why else "boot")
        self._spares.served(recorded, "boot")

    def _wake(self, recorded: Recording, held: Held) -> None:
        """The clone that waited runs, or nothing of it is left. Raises NotFound when it was made for something else."""
        name = held.template.template.name
        paused = held.spare.kind is SpareKind.PAUSED
        with ExitStack() as stack:
            undo = self._undone(recorded, stack)
            stack.callback(undo, "what waited could not be ended", lambda: self._kill(recorded), first=True)
            self._says(recorded, "its machine is being started", f"paused clone of {name}" if paused else f"prespawned clone of {name}")
            self._plug(recorded, stack, undo)
            stack.callback(undo, "its machine could not be killed", lambda: self._kill(recorded), first=True)
            self._templates.door().wake(described(self._world, recorded, held.made.chains))
            stack.pop_all()

    def _try(self, recorded: Recording, template: KeptTemplate | None, origin: str) -> None:
        """Its machine runs, or nothing of this try is left."""
        with ExitStack() as stack:
            world = self._world
            info = self._info()
            if recorded.profile.tpm and info is not None and Capability.TPM not in info.capabilities:
                raise Unsupported("a TPM", info.driver)
            self._says(recorded, "its disks are being made", origin)
            undo = self._undone(recorded, stack)
            made = make_files(world, recorded, template, lambda: self._told_if_long(recorded, "its image is being checked"))
            with self._step(recorded, "its network port is being made"):
                self._plug(recorded, stack, undo)
            with self._step(recorded, "its machine is being started"):
                stack.callback(undo, "its machine could not be killed", lambda: self._kill(recorded), first=True)
                if recorded.guest.purpose is Purpose.TEMPLATE:
                    self._templates.door().prepare(made.spec)
                elif template is not None:
                    self._templates.door().clone(made.spec, template.template.name)
                else:
                    world.hypervisor.start(made.spec)
            stack.pop_all()

    def _undone(self, recorded: Recording, stack: ExitStack) -> _Undo:
        """What takes the steps of this start back; the first is that its folder goes."""
        undo = _Undo(recorded.guest.name)
        stack.callback(undo, "its folder could not be removed", lambda: self._world.disks.remove_run(recorded.run))
        return undo

    def _plug(self, recorded: Recording, stack: ExitStack, undo: _Undo) -> None:
        """Its port is there, and goes again should the start fail. Raises NetworkError."""
        world, lab = self._world, recorded.lab
        if problem := self._lab_problem(lab.name):
            raise NetworkError(f"The network of {lab.name} is not ready: {problem}", operation="start", subject=recorded.guest.name)
        stack.callback(undo, "its TAP could not be removed", lambda: world.network.unplug(recorded.identity.tap))
        world.network.plug(port_for(world, lab, recorded.identity.seat))

    def _kill(self, recorded: Recording) -> None:
        self._world.hypervisor.stop(recorded.run, StopHow.KILL)

    def _lab_problem(self, lab: str) -> str:
        """Why the lab's network is not there. One that is just being set up (the lab is new, the engine has just begun) is waited for."""
        clock, pause = self._world.clock, threading.Event()
        deadline = clock.monotonic() + LAB_SECONDS
        while (problem := self._lab_ready(lab)) == SETTING_UP and clock.monotonic() < deadline:
            pause.wait(0.05)
        return problem

    @contextmanager
    def _told_if_long(self, recorded: Recording, reason: str) -> Iterator[None]:
        """The row says `reason` when the block takes longer than LONG_SECONDS."""
        lock, over = threading.Lock(), False

        def tell() -> None:
            with lock:
                if not over:
                    self._tell(recorded, reason)

        timer = threading.Timer(LONG_SECONDS, tell)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with lock:  # what is said next must not be overtaken
                over = True

    def _tell(self, recorded: Recording, reason: str) -> None:
        guest = recorded.guest
        try:
            self._rows.move(guest.name, guest.generation, GuestState.STARTING, reason)
        except LabVirtError as error:
            log.info("%s: %s", guest.name, error)

    @contextmanager
    def _step(self, recorded: Recording, reason: str) -> Iterator[None]:
        """Before each side effect: is it still wanted? A newer wish wins over this start. The row says `reason` when the block takes long:
        a row that is written costs as much as the whole step should."""
        with self._world.database.read() as work:
            row = work.guests.get(recorded.guest.name)
        if row is None or row.generation != recorded.guest.generation:
            raise _MovedOn
        with self._told_if_long(recorded, reason):
            yield

    def _says(self, recorded: Recording, reason: str, origin: str) -> None:
        """As before a step; and its row says now how its run begins."""
        guest = recorded.guest

        def step(row: Guest) -> Guest:
            return replace(self._rows.moved(row, GuestState.STARTING, reason), origin=origin)

        if self._rows.change(guest.name, guest.generation, step) is None:
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
