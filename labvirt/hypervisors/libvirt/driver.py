# SPDX-License-Identifier: MIT
"""LibvirtHypervisor keeps the contract labvirt.contracts.hypervisor: cold boots of transient domains on the libvirt of this host.

A domain is ours when its mark (domain_xml.Mark) carries our owner. A call that only libvirtd answers uses one connection; one that
QEMU itself must answer uses another, with a deadline, so that one stuck guest does not silence the others.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import libvirt
import libvirt_qemu
from PIL import Image, UnidentifiedImageError

from labvirt.contracts.hypervisor import (
    HOME_LOGIN,
    OVERLAY_CAP_REASON,
    Capability,
    HypervisorInfo,
    LaunchSpec,
    Listener,
    MachineState,
    RunEvent,
    RunStatus,
)
from labvirt.domain.console import ConsoleKind
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Firmware
from labvirt.errors import AgentSilent, DriverError, DriverTimeout, HostNotReady, HypervisorError, LabVirtError, OutcomeUnknown, Unsupported
from labvirt.hypervisors import console_line, guest_agent, media, wakers
from labvirt.hypervisors.libvirt import domain_xml, waking
from labvirt.hypervisors.libvirt.caps import Caps
from labvirt.hypervisors.libvirt.connection import Connection, is_local, run_of
from labvirt.hypervisors.libvirt.events import DISK_ERROR, DISK_FULL, STOPPED, Ears
from labvirt.hypervisors.libvirt.memory_file import MemoryFile
from labvirt.hypervisors.libvirt.migrations import Migrations
from labvirt.hypervisors.libvirt.patience import Patience
from labvirt.hypervisors.libvirt.pauses import Pauses
from labvirt.hypervisors.libvirt.processes import find_pids
from labvirt.hypervisors.libvirt.templates import LibvirtTemplates, Prepared
from labvirt.hypervisors.libvirt.translation import Ended, translated
from labvirt.hypervisors.libvirt.viewers import viewers_in
from labvirt.hypervisors.template_manifest import RAM
from labvirt.system.files import write_atomic

T = TypeVar("T")

log = logging.getLogger(__name__)

_SOCKET_BYTES = 107
"""Longest path of a Unix socket (sockaddr_un, unix(7)): libvirt and QEMU bind them by their full path."""
_START_SECONDS = 60.0
_STOP_SECONDS = 40.0
"""libvirt itself gives SIGTERM 10 s and SIGKILL 30 s (virProcessKillPainfully)."""
_ASK_SECONDS = 5.0
_STATE_SECONDS = 30.0
"""The device state is some MiB at most, and its disks are flushed."""
_AGENT_SECONDS = 2
"""Less than _ASK_SECONDS: libvirt itself gives up first, and nothing is stuck."""
_AGENT_DEADLINE_SECONDS = 3.0
_AGENT_SILENT = frozenset({libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED})
_NO_TAP = "managed='no' but specified dev doesn't exist"
"""libvirt's words for a TAP that is not there; they do not say which."""
_PAUSES_AGAIN_SECONDS = 0.5

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: MachineState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: MachineState.RUNNING,
    libvirt.VIR_DOMAIN_SHUTDOWN: MachineState.RUNNING,
    libvirt.VIR_DOMAIN_PMSUSPENDED: MachineState.PAUSED,
    libvirt.VIR_DOMAIN_PAUSED: MachineState.PAUSED,
    libvirt.VIR_DOMAIN_CRASHED: MachineState.PAUSED,
}


_CAPABILITIES = frozenset(
    {
        Capability.DISPLAY_SECRET,
        Capability.SCREENSHOT,
        Capability.CONSOLE,
        Capability.AGENT,
        Capability.SERIAL,
        Capability.OVERLAY_CAP,
        Capability.GUEST_LOGIN,
    }
)


class LibvirtHypervisor:
    """`uri` is a libvirt on this host, `owner` the controller's id that each domain carries, `accelerator` was probed: 'kvm' or 'tcg'.

    Templates are in the folder `templates` (absent: there are none). `processes` is where libvirtd's machines see this host's /proc.
    """

    def __init__(self, uri: str, *, owner: str, accelerator: str, templates: Path | None = None, processes: Path = Path("/proc")) -> None:
        self._uri = uri
        self._owner = owner
        self._accelerator = accelerator
        self._ears = Ears(self._tell)
        self._pauses = Pauses()
        self._migrations = Migrations()
        self._patience = Patience()
        self._listeners: tuple[Listener, ...] = ()
        self._caps = Caps(self._hold)
        self._connection = Connection(uri, self._hear_lifecycle, self._hear_monitor)
        self._templates: LibvirtTemplates | None = None
        if templates is not None and is_local(uri):
            self._templates = LibvirtTemplates(self, folder=templates, processes=processes, about=self._about)

    def capabilities(self) -> HypervisorInfo:
        own, qemu, _ = self._about()
        tcg = self._accelerator != "kvm"
        cloning = frozenset({Capability.INSTANT_CLONE}) if self._templates is not None else frozenset()
        return HypervisorInfo(
            driver="libvirt",
            version=f"libvirt {own}, QEMU {qemu}",
            accelerator=self._accelerator,
            # No TPM: libvirt keeps its state in a folder of its own, which no version and no draft could carry.
            capabilities=_CAPABILITIES | cloning,
            notice="Guests run without KVM (TCG): slowly, and TCG is no security boundary." if tcg else "",
        )

    def _about(self) -> tuple[str, str, str]:
        """Versions of libvirt and of QEMU, and the accelerator."""
        with translated("ask the version of", self._uri):
            connection = self._connection.get()
            return _version(connection.getLibVersion()), _version(connection.getVersion()), self._accelerator

    def command_line(self, spec: LaunchSpec) -> tuple[str, ...]:
        return (domain_xml.render(spec, owner=self._owner, accelerator=self._accelerator),)

    def start(self, spec: LaunchSpec) -> RunStatus:
        return self._begin(spec)

    def _begin(
        self, spec: LaunchSpec, *, memory: MemoryFile | None = None, machine: str = "", fork: waking.Fork | None = None
    ) -> RunStatus:
        """`machine`: it can be frozen, and this is the digest of its shape. `fork`: it is a clone. Both have their RAM in `memory`."""
        domain = self._living(spec.run)
        if domain is not None:
            return self._status(domain, spec.run, find_pids())
        if spec.tpm:
            raise Unsupported("a TPM whose state belongs to the version", "libvirt")
        _check_paths(spec)
        _check_discs(spec)
        if spec.firmware is Firmware.UEFI:
            self._copy_variables(spec)
        if machine:
            (spec.folder / RAM).unlink(missing_ok=True)  # QEMU takes what lies there for the guest's memory
        domain = self._create(spec, memory=memory, machine=machine) if fork is None else self._clone(spec, fork, memory)
        (spec.folder / HOME_LOGIN).unlink(missing_ok=True)  # QEMU has read it; it must not lie beside an overlay that is kept
        return self._status(domain, spec.run, find_pids())

    def _create(self, spec: LaunchSpec, *, memory: MemoryFile | None, machine: str = "", waker: str = "") -> libvirt.virDomain:
        """Its domain exists; with a `waker` it stands still."""
        started = datetime.now(UTC).isoformat(timespec="seconds")
        xml = domain_xml.render(
            spec, owner=self._owner, accelerator=self._accelerator, started=started, memory=memory, machine=machine, waker=waker
        )
        flags = libvirt.VIR_DOMAIN_START_PAUSED if waker else 0
        try:
            return self._act("start", spec.run, lambda: self._connection.get().createXML(xml, flags), _START_SECONDS)
        except (DriverTimeout, OutcomeUnknown):
            self._end_half_started(spec.run)
            raise
        except HypervisorError as error:
            if (missing := _port_missing(spec, error)) is not None:
                raise missing from error
            raise

    def _clone(self, spec: LaunchSpec, fork: waking.Fork, memory: MemoryFile | None) -> libvirt.virDomain:
        """It runs where its template was frozen; after a failure it is gone."""
        with wakers.waking() as word:
            domain = self._create(spec, memory=memory, waker=word)
            try:
                with translated("read the mark of", str(spec.run)):
                    mark = self._mark(domain)
                assert mark is not None
                waking.wake(spec, fork, replace(mark, waker=""), self._bed(spec.run, domain))
                self._monitored("wake", spec.run, domain, lambda own: own.resume())
            except BaseException as error:
                self._end_half_started(spec.run)
                if isinstance(error, HypervisorError) and (missing := _port_missing(spec, error)) is not None:
                    raise missing from error
                raise
            return domain

    def _bed(self, run: RunId, domain: libvirt.virDomain) -> waking.Bed:
        return waking.Bed(
            run=run,
            ask=partial(self._command, run, domain),
            do=partial(self._monitored, run=run, domain=domain),
            migrations=self._migrations,
            seconds=_STATE_SECONDS,
        )

    def _living(self, run: RunId) -> libvirt.virDomain | None:
        """As `_find`; a clone whose waker died before it was awake has ended: nobody knows how far it came."""
        domain = self._find(run)
        if domain is None:
            return None
        with translated("read the mark of", str(run)):
            mark = self._mark(domain)
        return None if mark is not None and self._is_abandoned(run, domain, mark) else domain

    def _is_abandoned(self, run: RunId, domain: libvirt.virDomain, mark: domain_xml.Mark) -> bool:
        """Was its waker gone before it was awake? Then it has ended."""
        if not mark.waker or wakers.is_going(mark.waker):
            return False
        log.warning("%s was being woken when its controller ended: it is ended too", run)
        with contextlib.suppress(Ended), translated("kill", str(run)):
            domain.destroy()
        return True

    def _lives(self, run: RunId) -> bool:
        return self._living(run) is not None

    def _prepared(self, run: RunId) -> Prepared | None:
        """What a template is made of; None for an ordinary run."""
        domain = self._one(run)
        with translated("read the mark of", str(run)):
            mark, xml = self._mark(domain), domain.XMLDesc()
        if mark is None or not mark.machine:
            return None
        files = domain_xml.disk_files(xml)
        folder = domain_xml.serial_path(xml).parent
        return Prepared(machine=mark.machine, folder=folder, overlays=tuple(files[name] for name in mark.overlays))

    def _freeze(self, run: RunId, state: int) -> None:
        waking.sleep(state, self._bed(run, self._one(run)))

    def running(self) -> tuple[RunStatus, ...]:
        with translated("list the domains of", self._uri):
            domains = self._connection.get().listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        pids = find_pids()
        found = []
        for domain in domains:
            run = run_of(domain)
            if run is None:
                continue
            with translated("read the mark of", str(run)):
                mark = self._mark(domain)
            if not self._is_its(mark, run):
                continue
            if mark is not None and mark.waker:  # not awake: no run yet, or never one
                self._is_abandoned(run, domain, mark)
                continue
            with contextlib.suppress(Ended):  # it ended since the list was made
                found.append(self._status(domain, run, pids))
        return tuple(sorted(found, key=lambda status: status.run))

    def stop(self, run: RunId, how: StopHow) -> None:
        domain = self._find(run)
        if domain is None:
            return
        with contextlib.suppress(Ended):  # it ended by itself meanwhile
            if how is StopHow.SHUTDOWN:
                self._monitored("shut down", run, domain, lambda own: own.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN))
            elif how is StopHow.STOP:
                self._switch_off(run, domain)
            else:
                # SIGKILL needs no answer of QEMU, so an older call that is stuck does not matter.
                with translated("kill", str(run)):
                    domain.destroy()

    def reset(self, run: RunId) -> None:
        domain = self._one(run)
        self._monitored("reset", run, domain, lambda own: own.reset(0))

    def pause(self, run: RunId) -> None:
        domain = self._one(run)
        self._monitored("pause", run, domain, lambda own: own.suspend())

    def resume(self, run: RunId) -> None:
        domain = self._one(run)
        with translated("read the mark of", str(run)):
            mark = self._mark(domain)
        if self._is_beyond(run, domain, mark):
            raise HypervisorError(
                f"{run} cannot go on: {OVERLAY_CAP_REASON}.",
                operation="resume",
                subject=str(run),
                hint="Stop it: what it wrote is kept for a while (labvirt rescue list). More room, from its next start: overlay_cap_mib.",
            )
        with self._pauses.watch(run) as paused:
            self._monitored("resume", run, domain, lambda own: own.resume())
            if paused.wait(_PAUSES_AGAIN_SECONDS):
                raise HypervisorError(
                    f"{run} paused again at once: {_pause_reason(domain) or 'it did not say why'}.",
                    operation="resume",
                    subject=str(run),
                    hint="Make room on the host's disk (df -h), then try again.",
                )

    def grant_display(self, run: RunId, secret: str, seconds: int) -> None:
        domain = self._one(run)
        # The old secret ends before the new one begins; an open session goes on.
        self._command(run, domain, "expire_password", protocol="spice", time="now")
        self._command(run, domain, "set_password", protocol="spice", password=secret, connected="keep")
        if seconds > 0:
            self._command(run, domain, "expire_password", protocol="spice", time=f"+{seconds}")

    def set_login(self, run: RunId, user: str, password: str) -> None:
        guest_agent.set_password(self._agent(run), run.guest, user, password)

    def read_guest_file(self, run: RunId, path: str, most: int) -> bytes | None:
        return guest_agent.read_file(self._agent(run), run.guest, path, most)

    def _agent(self, run: RunId) -> guest_agent.Ask:
        """libvirt itself holds the channel, and synchronizes. It reads at most 10 MiB (QEMU_AGENT_MAX_RESPONSE)."""
        domain = self._one(run)
        deadline = time.monotonic() + _AGENT_DEADLINE_SECONDS

        def ask(verb: str, arguments: Mapping[str, object]) -> object:
            if time.monotonic() >= deadline:
                raise AgentSilent(run.guest)
            text = json.dumps({"execute": verb, "arguments": arguments})
            answer = self._monitored(verb, run, domain, lambda own: _agent_answer(own, run.guest, text))
            if len(answer) > guest_agent.ANSWER_BYTES:
                raise AgentSilent(run.guest, "it says more than any agent would")
            return guest_agent.answer_of(answer, run.guest)

        return ask

    def screenshot(self, run: RunId) -> bytes:
        domain = self._one(run)
        return self._monitored("take a picture of", run, domain, _picture)

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        domain = self._one(run)
        if kind is ConsoleKind.SCREEN:
            # The first graphics of ours is VNC; SPICE is libvirt's own only by QEMU's arguments (domain_xml.py).
            return int(self._monitored("open the screen of", run, domain, lambda own: own.openGraphicsFD(0, 0)))
        lines = json.loads(self._command(run, domain, "query-chardev"))["return"]
        console_line.check_free(lines, ("charserial0",), run.guest)
        # openConsole gives a stream of libvirt's own, which ends with this process; behind the socket is the same line.
        with translated("look for the serial line of", str(run)):
            xml = domain.XMLDesc()
        return console_line.connected(domain_xml.serial_path(xml), run.guest)

    def templates(self) -> LibvirtTemplates:
        if self._templates is None:
            remote = "" if is_local(self._uri) else ": its libvirt is not this host's, and a template is handed over as open files"
            raise Unsupported(f"instant clones{remote}", "libvirt")
        return self._templates

    def subscribe(self, listener: Listener) -> None:
        self._listeners = (*self._listeners, listener)
        self._connection.get()

    def close(self) -> None:
        self._listeners = ()
        if self._templates is not None:
            self._templates.close()
        self._caps.close()
        self._ears.close()
        self._connection.close()

    def _find(self, run: RunId) -> libvirt.virDomain | None:
        """The living domain of this run, if it is ours. Raises HypervisorError when somebody else's has its name."""
        try:
            with translated("look for", str(run)):
                domain = self._connection.get().lookupByName(str(run))
        except Ended:
            return None
        if not self._is_ours(domain, run):
            raise HypervisorError(
                f"There is a libvirt domain called {run} that is not ours.",
                operation="look for",
                subject=str(run),
                hint=f"Remove or rename it: virsh -c {self._uri} dumpxml {run}",
            )
        return domain

    def _one(self, run: RunId) -> libvirt.virDomain:
        domain = self._find(run)
        if domain is None:
            raise Ended(run)
        return domain

    def _mark(self, domain: libvirt.virDomain) -> domain_xml.Mark | None:
        try:
            return domain_xml.parse_mark(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, domain_xml.MARK))
        except libvirt.libvirtError as error:
            if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
                return None
            raise

    def _is_ours(self, domain: libvirt.virDomain, run: RunId) -> bool:
        with translated("read the mark of", str(run)):
            return self._is_its(self._mark(domain), run)

    def _is_its(self, mark: domain_xml.Mark | None, run: RunId) -> bool:
        return mark is not None and mark.owner == self._owner and mark.run == run

    def _status(self, domain: libvirt.virDomain, run: RunId, pids: dict[UUID, int]) -> RunStatus:
        """Proven by QEMU's own answer; SILENT when there is none in time. Raises Ended when it has ended."""
        with translated("ask the state of", str(run)):
            uuid = UUID(domain.UUIDString())
            memory_mib = domain.maxMemory() // 1024
            mark = self._mark(domain)
        started = _moment(mark.started) if mark is not None else None
        known = RunStatus(run=run, uuid=uuid, state=MachineState.SILENT, started_at=started, pid=pids.get(uuid), memory_mib=memory_mib)
        try:
            answer = self._command(run, domain, "query-spice")
        except Ended:
            raise
        except (DriverTimeout, HypervisorError) as error:
            with translated("ask the state of", str(run)):
                domain.state()  # raises when it is gone: then it is not silent but ended
            self._ears.know(run)
            return replace(known, reason=str(error))
        viewers = viewers_in(answer)
        with translated("ask the state of", str(run)):
            state = _STATES.get(domain.state()[0])
        if state is None:
            raise Ended(run)
        self._ears.know(run, viewers, paused=state is MachineState.PAUSED)
        reason = _pause_reason(domain) if state is MachineState.PAUSED else ""
        if state is MachineState.RUNNING:
            self._arm(run, domain, mark)
        if state is MachineState.RUNNING or reason == STOPPED:
            try:
                if self._is_beyond(run, domain, mark):
                    if state is MachineState.RUNNING:  # it grew while nobody listened
                        self._ears.trouble(run, OVERLAY_CAP_REASON)
                        self._monitored("pause", run, domain, lambda own: own.suspend())
                    state, reason = MachineState.PAUSED, OVERLAY_CAP_REASON
            except Ended:
                raise
            except (DriverTimeout, HypervisorError) as error:
                return replace(known, reason=str(error))
        return replace(known, state=state, reason=reason, viewers=len(viewers))

    def _arm(self, run: RunId, domain: libvirt.virDomain, mark: domain_xml.Mark | None) -> None:
        """We will be told when an overlay grows beyond the cap; once for each life of this driver and each telling."""
        if mark is None or mark.cap_bytes is None or not self._caps.arms(run):
            return
        cap = mark.cap_bytes
        for name in mark.overlays:
            self._monitored("watch", run, domain, partial(_set_threshold, name=name, cap=cap))

    def _is_beyond(self, run: RunId, domain: libvirt.virDomain, mark: domain_xml.Mark | None) -> bool:
        if mark is None or mark.cap_bytes is None:
            return False
        return any(self._monitored("measure", run, domain, partial(_size, name=name)) > mark.cap_bytes for name in mark.overlays)

    def _hold(self, run: RunId) -> None:
        """Paused because its overlay grows beyond its cap. On a thread of Caps."""
        try:
            domain = self._find(run)
            if domain is not None:
                self._ears.trouble(run, OVERLAY_CAP_REASON)
                self._monitored("pause", run, domain, lambda own: own.suspend())
        except LabVirtError as error:
            log.warning("%s could not be paused at its cap: %s; the next look will", run, error)

    def _command(self, run: RunId, domain: libvirt.virDomain, execute: str, *, file: int | None = None, **arguments: object) -> str:
        """One QMP command; the descriptor `file` goes along. Its answer is QEMU's JSON; an error in it is raised by libvirt_qemu's caller
        here."""
        text = json.dumps({"execute": execute, "arguments": arguments} if arguments else {"execute": execute})
        ask = partial(libvirt_qemu.qemuMonitorCommand, cmd=text, flags=0) if file is None else _with_file(text, file)
        answer: str = self._monitored(execute, run, domain, ask)
        failure = json.loads(answer).get("error")
        if failure is not None:
            # Never the arguments: one of them is a secret.
            raise HypervisorError(f"{run}: QEMU refused {execute}: {failure.get('desc')}.", operation=execute, subject=str(run))
        return answer

    def _monitored(self, operation: str, run: RunId, domain: libvirt.virDomain, work: Callable[[libvirt.virDomain], T]) -> T:
        """`work` with the same domain on the connection for calls that may be stuck."""

        def call() -> T:
            with translated(operation, str(run)):
                return work(self._connection.for_monitor().lookupByUUIDString(domain.UUIDString()))

        try:
            return self._patience.within(_ASK_SECONDS, operation, str(run), call)
        except DriverTimeout:
            self._connection.abandon_monitor()
            raise

    def _act(self, operation: str, run: RunId, work: Callable[[], T], seconds: float) -> T:
        def call() -> T:
            with translated(operation, str(run)):
                return work()

        return self._patience.within(seconds, operation, str(run), call)

    def _switch_off(self, run: RunId, domain: libvirt.virDomain) -> None:
        """SIGTERM: QEMU flushes its disks and ends."""
        try:
            self._act("stop", run, lambda: domain.destroyFlags(libvirt.VIR_DOMAIN_DESTROY_GRACEFUL), _STOP_SECONDS)
        except HypervisorError as error:
            raise DriverTimeout(
                f"{run} does not end: {error.sentence}",
                operation="stop",
                subject=str(run),
                hint="Kill it: labvirt guest stop NAME --how kill",
            ) from error

    def _end_half_started(self, run: RunId) -> None:
        """After a start whose end was not seen. (One that failed has ended its process, and perhaps another start of the same run won.)"""
        with contextlib.suppress(LabVirtError):
            self.stop(run, StopHow.KILL)

    def _copy_variables(self, spec: LaunchSpec) -> None:
        """The machine's UEFI variables are there: those that came with its disk, else fresh ones."""
        if domain_xml.uefi_variables(spec.folder).is_file():
            return
        try:
            content = domain_xml.UEFI_VARIABLES.read_bytes()
            # PRIVILEGE: CAP_CHOWN, when `uid` is given; write_atomic gives away only the file it made itself.
            write_atomic(domain_xml.uefi_variables(spec.folder), content, owner=spec.uid)
        except FileNotFoundError as error:
            raise HostNotReady("The UEFI firmware is missing on this host.", hint="apt-get install ovmf") from error
        except OSError as error:
            raise DriverError(
                f"{spec.run}: its UEFI variables cannot be written: {error.strerror}.", operation="start", subject=str(spec.run)
            ) from error

    def _hear_lifecycle(self, run: RunId, event: int, detail: int) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_SUSPENDED:
            self._pauses.paused(run)
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED:
            self._caps.forget(run)
            self._migrations.gone(run)
        self._ears.lifecycle(run, event, detail)

    def _hear_monitor(self, run: RunId, event: str, details: str | None) -> None:
        if event == "BLOCK_WRITE_THRESHOLD":
            self._caps.reached(run)
        if event == "MIGRATION":
            self._migrations.heard(run, details)
        self._ears.monitor(run, event, details)

    def _tell(self, event: RunEvent) -> None:
        for listener in self._listeners:
            listener(event)


def _with_file(text: str, file: int) -> Callable[[libvirt.virDomain], str]:
    """A QMP command with a descriptor of its own: the call may be stuck, and sent when the caller's number is another file's already."""
    own_file = os.fdopen(os.dup(file), "rb", buffering=0)

    def ask(domain: libvirt.virDomain) -> str:
        with own_file:
            answer: str = libvirt_qemu.qemuMonitorCommandWithFiles(domain, text, [own_file.fileno()], 0)[0]
            return answer

    return ask


def _port_missing(spec: LaunchSpec, error: HypervisorError) -> HypervisorError | None:
    """libvirt does not say which TAP is not there: we do."""
    if spec.port is None or _NO_TAP not in error.sentence:
        return None
    return HypervisorError(
        f"{spec.port.tap} does not exist where libvirtd runs.",
        operation="start",
        subject=str(spec.run),
        hint="Try again; if it stays so, libvirtd runs in another network namespace than LabVirt.",
    )


def _agent_answer(domain: libvirt.virDomain, guest: str, text: str) -> str:
    """The agent's line. Raises Refused, AgentSilent; never with the command's text in it."""
    try:
        return str(libvirt_qemu.qemuAgentCommand(domain, text, _AGENT_SECONDS, 0))
    except libvirt.libvirtError as error:
        if error.get_error_code() in _AGENT_SILENT:
            raise AgentSilent(guest) from error
        if error.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR:
            words = str(error.get_error_message() or "").rpartition(": ")[2]
            raise guest_agent.Refused(guest_agent.plain(words)) from None
        raise


def _picture(domain: libvirt.virDomain) -> bytes:
    """The screen as PNG: QEMU 7.1 and libvirt 9 give one, older ones a PPM."""
    stream = domain.connect().newStream(0)
    kind = domain.screenshot(stream, 0, 0)
    content = io.BytesIO()
    stream.recvAll(lambda _stream, data, _opaque: content.write(data), None)
    stream.finish()
    if kind == "image/png":
        return content.getvalue()
    try:
        png = io.BytesIO()
        with Image.open(content, formats=("PPM",)) as image:
            image.save(png, "PNG")
    except (UnidentifiedImageError, OSError) as error:
        raise HypervisorError(f"libvirt sent a picture that cannot be read ({kind}).", operation="screenshot") from error
    return png.getvalue()


def _pause_reason(domain: libvirt.virDomain) -> str:
    """Why it is paused; empty when that cannot be known now."""
    try:
        _, reason = domain.state()
        if reason != libvirt.VIR_DOMAIN_PAUSED_IOERROR:
            return STOPPED
        full = libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE in domain.diskErrors().values()
    except libvirt.libvirtError:  # it ended, or does not answer: whoever asks again will hear that
        return ""
    return DISK_FULL if full else DISK_ERROR


def _set_threshold(domain: libvirt.virDomain, *, name: str, cap: int) -> None:
    domain.setBlockThreshold(name, cap, 0)


def _size(domain: libvirt.virDomain, *, name: str) -> int:
    """Size of the overlay's file on the host."""
    return int(domain.blockInfo(name)[2])  # capacity, allocation, physical


def _check_discs(spec: LaunchSpec) -> None:
    for drive in spec.drives:
        for layer in drive.chain if drive.cdrom else ():
            if obstacle := media.obstacle(layer.path, spec.uid, walks=True):
                raise HypervisorError(
                    f"{spec.run} cannot be started: {obstacle}.",
                    operation="start",
                    subject=str(spec.run),
                    hint=f"It is to be its CD. Put it where everybody may read it, or use the driver qemu: {layer.path}",
                )


def _check_paths(spec: LaunchSpec) -> None:
    longest = max(len(os.fsencode(path)) for path in _sockets(spec))
    if longest > _SOCKET_BYTES:
        raise HostNotReady(
            f"The path of {spec.run}'s folder is too long for libvirt: its sockets would have {longest} bytes, {_SOCKET_BYTES} fit.",
            hint="Move the state folder to a shorter path, or use the driver qemu, which has no such limit.",
        )


def _sockets(spec: LaunchSpec) -> tuple[Path, ...]:
    return domain_xml.serial_socket(spec.folder), domain_xml.agent_socket(spec.folder), domain_xml.vnc_socket(spec.folder)


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _version(number: int) -> str:
    """libvirt's numbers: major * 1000000 + minor * 1000 + release."""
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"
