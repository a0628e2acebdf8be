# SPDX-License-Identifier: MIT
"""QemuHypervisor keeps contracts.hypervisor.Hypervisor with QEMU processes of its own. Each method is the list of its
steps.

The runs folder is all it has to know what runs; it keeps connections, never truth. Deadlines are given at the top.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.contracts.hypervisor import (
    HOME_LOGIN,
    Capability,
    HypervisorInfo,
    LaunchSpec,
    Listener,
    MachineState,
    RunStatus,
)
from labvirt.domain.console import ConsoleKind
from labvirt.domain.guest import RunId, StopHow
from labvirt.errors import (
    Conflict,
    DriverError,
    DriverTimeout,
    HypervisorError,
    OperationInProgress,
    OutcomeUnknown,
)
from labvirt.hypervisors import console_line, guest_agent
from labvirt.hypervisors.qemu import accelerator, command, layout, sandbox, tpm
from labvirt.hypervisors.qemu.launch import end_all, hatch, launch
from labvirt.hypervisors.qemu.monitor import MonitorLoop
from labvirt.hypervisors.qemu.obstacles import check
from labvirt.hypervisors.qemu.roster import Roster
from labvirt.hypervisors.qemu.session import Session
from labvirt.hypervisors.qemu.sleepers import Sleepers, ended, woken
from labvirt.hypervisors.qemu.templates import QemuTemplates
from labvirt.hypervisors.qemu.version import QemuVersion, asked
from labvirt.hypervisors.qemu.waking import Fork
from labvirt.system import privileges
from labvirt.system.files import read_bounded
from labvirt.system.process import send_signal, started_at, wait_end

log = logging.getLogger(__name__)

START_SECONDS = 30.0
"""From exec to the greeting: 0.1 s on an idle host; many at once on a host without KVM take their time."""
ANSWER_SECONDS = 2.0
"""After so long a run counts as silent."""
COMMAND_SECONDS = 10.0
FREEZE_SECONDS = 30.0
"""The device state is some MiB at most, and its disks are flushed."""
END_SECONDS = 15.0
"""From quit or SIGKILL to the end of the process: its disks are flushed meanwhile."""
RESUME_SECONDS = 1.0
"""QEMU repeats the failed write at once: if the disk is still full, it stops again within milliseconds."""

AGENT_SET_SECONDS = 5.0
AGENT_READ_SECONDS = 3.0
"""Both together are less than a terminal waits for its ticket (10 s)."""

PICTURE_LIMIT = 64 << 20
"""Bytes of a screenshot: more than any screen of ours makes as PNG."""


_CAPABILITIES = frozenset(
    {
        Capability.DISPLAY_SECRET,
        Capability.SCREENSHOT,
        Capability.CONSOLE,
        Capability.AGENT,
        Capability.SERIAL,
        Capability.OVERLAY_CAP,
        Capability.GUEST_LOGIN,
        Capability.INSTANT_CLONE,
        Capability.SPARE_CLONE,
    }
)


class QemuHypervisor:
    """All runs whose folders lie in `runs`, and the templates in `templates` (absent: beside the runs).

    `choice` is 'auto', 'kvm' or 'tcg'; `probe_guest` an image for trying KVM out.
    """

    def __init__(
        self,
        *,
        runs: Path,
        templates: Path | None = None,
        choice: str = "auto",
        probe_guest: Path | None = None,
        probe_cache: Path | None = None,
    ) -> None:
        self._runs = runs
        self._choice = choice
        self._probe_guest = probe_guest
        self._probe_cache = probe_cache or runs / ".accelerator.json"
        self._loop = MonitorLoop()
        self._roster = Roster(runs, self._loop)
        self._lock = threading.Lock()
        self._starting: set[RunId] = set()
        self.sleepers = Sleepers()
        self._swept: set[RunId] = set()
        self._accelerator: accelerator.Accelerator | None = None
        self._version = QemuVersion()
        folder = templates or runs.with_name("templates")
        self._templates = QemuTemplates(self, folder=folder, runs=runs, about=lambda: (self._version.now(), self._chosen().name))

    def capabilities(self) -> HypervisorInfo:
        version = asked()
        chosen = self._chosen(version)
        return HypervisorInfo(
            driver="qemu",
            version=version,
            accelerator=chosen.name,
            capabilities=_CAPABILITIES | ({Capability.TPM} if tpm.is_able() else frozenset()),
            notice=chosen.notice,
        )

    def command_line(self, spec: LaunchSpec) -> tuple[str, ...]:
        return self._argv(spec, None)

    def _argv(self, spec: LaunchSpec, memory: command.MemoryFile | None) -> tuple[str, ...]:
        chosen = self._chosen().name
        kvm = chosen == "kvm"
        before = sandbox.prefix(spec, root=privileges.is_root(), kvm=kvm, kvm_group=accelerator.kvm_group() if kvm else None)
        return (*before, *command.render(spec, accelerator=chosen, memory=memory))

    def start(self, spec: LaunchSpec) -> RunStatus:
        return self._begin(spec)

    def _begin(self, spec: LaunchSpec, *, machine: str = "", fork: Fork | None = None) -> RunStatus:
        """`machine`: it can be frozen, and this is the digest of its shape. `fork`: it is a clone."""
        memory = None
        if fork is not None:
            memory = _CLONED
        elif machine:
            memory = command.MemoryFile(path=f"{layout.GUEST}/{layout.RAM}", clone=False)
        with self._only_one(spec.run):
            session = self._roster.adopt(spec.run)
            awake = False
            if session is None:
                check(spec)
                argv = self._argv(spec, memory)
                if fork is None:
                    launch(spec, argv, deadline_seconds=START_SECONDS, machine=machine)
                else:
                    woken(hatch(spec, argv, fork, deadline_seconds=START_SECONDS), START_SECONDS)
                    awake = True
                session = self._roster.adopt(spec.run)
            try:
                return self._started(spec, session, awake=awake)
            except DriverError:
                end_all(spec.folder)
                raise
            finally:
                # QEMU greets before it reads this, and answers afterwards. It must not lie beside an overlay that is kept.
                (spec.folder / HOME_LOGIN).unlink(missing_ok=True)

    def _hatch(self, spec: LaunchSpec, fork: Fork, *, loaded: bool) -> None:
        """See contracts.templates: preload."""
        with self._only_one(spec.run):
            if spec.run in self.sleepers or self._roster.adopt(spec.run) is not None:
                raise Conflict(f"{spec.run} lives already.")
            check(spec)
            sleeper = hatch(spec, self._argv(spec, _CLONED), fork, deadline_seconds=START_SECONDS)
            try:
                if loaded:
                    sleeper.load(START_SECONDS)
            except BaseException:
                ended(sleeper)
                raise
            self.sleepers.add(sleeper)

    def _wake(self, spec: LaunchSpec) -> RunStatus:
        """See contracts.templates: wake."""
        with self._only_one(spec.run):
            woken(self.sleepers.take(spec), START_SECONDS)
            try:
                return self._started(spec, self._roster.adopt(spec.run), awake=True)
            except DriverError:
                end_all(spec.folder)
                raise

    def _started(self, spec: LaunchSpec, session: Session | None, *, awake: bool) -> RunStatus:
        """`awake`: its monitor has just said that it runs, and need not be asked once more."""
        status = None
        if session is not None and awake:
            status = RunStatus(
                run=spec.run,
                uuid=spec.uuid,
                state=MachineState.RUNNING,
                started_at=started_at(session.process),
                pid=session.process.pid,
                memory_mib=spec.memory_mib,
            )
        elif session is not None:
            status = self._loop.call(session.status(COMMAND_SECONDS), timeout=END_SECONDS, subject=spec.run.guest)
        if status is None:
            raise HypervisorError(
                f"{spec.run.guest} ended as soon as it was started.",
                operation="start",
                subject=spec.run.guest,
                hint=f"Its log: {spec.folder / layout.LOG}",
            )
        if status.uuid is not None and status.uuid != spec.uuid:
            raise HypervisorError(f"{spec.run} answers with another uuid than it was given.", operation="start", subject=spec.run.guest)
        return status

    def running(self) -> tuple[RunStatus, ...]:
        unproven = []
        sessions = []
        for run in self._roster.runs():
            if self._is_ours_alone(run):
                continue
            try:
                session = self._roster.adopt(run)
            except DriverTimeout as error:
                unproven.append(RunStatus(run=run, uuid=None, state=MachineState.SILENT, reason=error.sentence))
                continue
            if session is not None:
                sessions.append(session)
            else:
                self._sweep(run)
        answers = self._loop.call(_ask(sessions), timeout=ANSWER_SECONDS * 3, subject="The monitor thread")
        return tuple(sorted((*answers, *unproven), key=lambda status: status.run))

    def _is_ours_alone(self, run: RunId) -> bool:
        """It is being started, or sleeps. One that begins to sleep sleeps before it is no longer being started, one that is woken is being
        started before it sleeps no longer: it is seen by one of the looks."""
        if run in self.sleepers:
            return True
        with self._lock:
            starting = run in self._starting
        return starting or run in self.sleepers

    def _sweep(self, run: RunId) -> None:
        """The emulator of a TPM whose QEMU failed in the moment in which the engine was killed is ended; looked at once."""
        if run in self._swept or not (self._runs / str(run) / layout.TPM_LOG).exists():
            return
        self._swept.add(run)
        try:
            tpm.end(self._runs / str(run))
        except DriverTimeout as error:
            log.warning("%s: %s", run, error)

    def stop(self, run: RunId, how: StopHow) -> None:
        if self.sleepers.drop(run):
            return
        if how is StopHow.KILL:
            self._kill(run)
            return
        session = self._roster.adopt(run)
        if session is None:
            with self._lock:
                starting = run in self._starting
            if not starting:
                tpm.end(self._runs / str(run))
            return
        if how is StopHow.SHUTDOWN:
            self._execute(session, "system_powerdown")
            return
        try:
            self._execute(session, "quit")
        except (OutcomeUnknown, HypervisorError):
            # It may close the connection before the answer: whether it ended is what counts, and looked at below.
            log.debug("%s: no answer to quit", run)
        self._await_end(session)

    def reset(self, run: RunId) -> None:
        self._execute(self._one(run), "system_reset")

    def pause(self, run: RunId) -> None:
        self._execute(self._one(run), "stop")

    def resume(self, run: RunId) -> None:
        session = self._one(run)

        async def go_on() -> str | None:
            await session.go_on(deadline_seconds=COMMAND_SECONDS)
            return await session.wait_stopped(RESUME_SECONDS)

        reason = self._loop.call(go_on(), timeout=COMMAND_SECONDS * 2, subject=run.guest)
        if reason is not None:
            raise HypervisorError(
                f"{run.guest} stopped again at once: {reason}.",
                operation="resume",
                subject=run.guest,
                hint="Make room on the disk of the host, then resume it again.",
            )

    def grant_display(self, run: RunId, secret: str, seconds: int) -> None:
        session = self._one(run)

        async def grant() -> None:
            # The end of its life first: at no moment is a secret valid without one.
            expiry = {"protocol": "spice", "time": f"+{seconds}" if seconds > 0 else "now"}
            await session.execute("expire_password", expiry, deadline_seconds=COMMAND_SECONDS)
            password = {
                "protocol": "spice",
                "password": secret if seconds > 0 else secrets.token_urlsafe(24),
                "connected": "keep",
            }
            await session.execute("set_password", password, deadline_seconds=COMMAND_SECONDS)

        self._loop.call(grant(), timeout=COMMAND_SECONDS * 3, subject=run.guest)

    def set_login(self, run: RunId, user: str, password: str) -> None:
        with self._one(run).agent.conversation(AGENT_SET_SECONDS) as ask:
            guest_agent.set_password(ask, run.guest, user, password)

    def read_guest_file(self, run: RunId, path: str, most: int) -> bytes | None:
        with self._one(run).agent.conversation(AGENT_READ_SECONDS) as ask:
            return guest_agent.read_file(ask, run.guest, path, most)

    def screenshot(self, run: RunId) -> bytes:
        session = self._one(run)
        name = f"screen-{secrets.token_hex(4)}.png"
        picture = self._runs / str(run) / name
        try:
            self._execute(session, "screendump", {"filename": f"{layout.GUEST}/{name}", "format": "png"})
            return read_bounded(picture, PICTURE_LIMIT)
        except OSError as error:
            raise HypervisorError(
                f"The screen of {run.guest} could not be read: {error.strerror}.", operation="screenshot", subject=run.guest
            ) from error
        finally:
            picture.unlink(missing_ok=True)

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        session = self._one(run)
        if kind is ConsoleKind.SCREEN:
            return console_line.connected(self._runs / str(run) / layout.VNC_SOCKET, run.guest)
        asking = session.execute("query-chardev", deadline_seconds=COMMAND_SECONDS)
        lines = self._loop.call(asking, timeout=COMMAND_SECONDS * 2, subject=run.guest)
        console_line.check_free(lines, ("serial",), run.guest)
        return console_line.connected(self._runs / str(run) / layout.SERIAL_SOCKET, run.guest)

    def templates(self) -> QemuTemplates:
        return self._templates

    def subscribe(self, listener: Listener) -> None:
        self._roster.subscribe(listener)

    def close(self) -> None:
        self.sleepers.drop_all()  # nobody else can wake them
        self._templates.close()
        if not self._loop.closed:
            self._roster.let_go()
            self._loop.close()

    def _chosen(self, version: str = "") -> accelerator.Accelerator:
        if self._accelerator is None:
            self._accelerator = accelerator.choose(
                self._choice,
                guest=self._probe_guest,
                cache=self._probe_cache,
                qemu_version=version or asked(),
            )
        return self._accelerator

    def _living(self, run: RunId) -> Session | None:
        return self._roster.adopt(run)

    def _freeze(self, session: Session, state: int) -> None:
        self._loop.call(session.freeze(state, deadline_seconds=FREEZE_SECONDS), timeout=FREEZE_SECONDS * 5, subject=session.run.guest)

    def _one(self, run: RunId) -> Session:
        session = self._roster.adopt(run)
        if session is None:
            raise HypervisorError(f"{run.guest} does not run.", subject=run.guest, hint="Start it first.")
        return session

    def _execute(self, session: Session, name: str, arguments: dict[str, object] | None = None) -> None:
        work = session.execute(name, arguments, deadline_seconds=COMMAND_SECONDS)
        self._loop.call(work, timeout=COMMAND_SECONDS * 2, subject=session.run.guest)

    def _kill(self, run: RunId) -> None:
        try:
            session = self._roster.adopt(run)
        except DriverTimeout:  # it holds the socket and does not say who it is: then it is known by its log
            session = None
        if session is not None:
            send_signal(session.process, signal.SIGKILL)
            self._await_end(session)
        end_all(self._runs / str(run), deadline_seconds=END_SECONDS)

    def _await_end(self, session: Session) -> None:
        if not wait_end(session.process, END_SECONDS):
            raise DriverTimeout(
                f"{session.run.guest} has not ended after {END_SECONDS:g} s.",
                operation="stop",
                subject=session.run.guest,
                hint="Kill it: labvirt guest stop NAME --how kill",
            )
        self._roster.await_told(session)

    @contextmanager
    def _only_one(self, run: RunId) -> Iterator[None]:
        with self._lock:
            if run in self._starting:
                raise OperationInProgress(run.guest, "it is being started")
            self._starting.add(run)
            self._swept.discard(run)
        try:
            yield
        finally:
            with self._lock:
                self._starting.discard(run)


_CLONED = command.MemoryFile(path=f"/proc/self/fd/{command.RAM_DESCRIPTOR}", clone=True)


async def _ask(sessions: list[Session]) -> tuple[RunStatus, ...]:
    answers = await asyncio.gather(*(session.status(ANSWER_SECONDS) for session in sessions))
    return tuple(answer for answer in answers if answer is not None)
