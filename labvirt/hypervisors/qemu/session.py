# SPDX-License-Identifier: MIT
"""One run as it lives: its process, the connection to its monitor, and what it says of itself. On the loop's thread
only.

1. The process is the run. The connection comes and goes: lost, it is made again for as long as the process lives.
2. The end is seen by the process's pidfd and told once, after everything that QEMU still had to say.
3. Who joins later asks (`_look`); from then on events keep the picture.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import uuid
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path

from qemu.qmp import EventListener, ExecInterruptedError, ExecuteError, QMPClient, QMPError, Runstate, StateError

from labvirt.contracts.hypervisor import OVERLAY_CAP_REASON, EventKind, MachineState, RunEvent, RunStatus
from labvirt.domain.guest import RunId
from labvirt.errors import DriverTimeout, HypervisorError, OutcomeUnknown
from labvirt.hypervisors.qemu import layout, tpm
from labvirt.hypervisors.qemu.agent import AgentChannel
from labvirt.hypervisors.qemu.cap import OverlayCap
from labvirt.hypervisors.qemu.identity import prove_peer
from labvirt.hypervisors.qemu.viewers import Viewers
from labvirt.hypervisors.qemu.waking import CAPABILITIES, ENDS
from labvirt.system.files import read_tail
from labvirt.system.process import ProcessIdentity, is_alive, open_pidfd, started_at
from labvirt.system.sockets import connect_unix

log = logging.getLogger(__name__)

LINE_LIMIT = 1 << 20
"""Bytes of one QMP message. A monitor that says more in one line is not listened to any longer."""

DISK_FULL = "the disk of the host is full"

_STAMP = re.compile(r"\S+Z qemu-system-\w+: ")
"""How QEMU begins a line with -msg timestamp=on."""

_STATES = {
    "running": (MachineState.RUNNING, ""),
    "suspended": (MachineState.RUNNING, ""),
    "paused": (MachineState.PAUSED, "it was stopped"),
    "io-error": (MachineState.PAUSED, "its disk could not be written"),
    "internal-error": (MachineState.PAUSED, "its virtual processor failed"),
    "guest-panicked": (MachineState.PAUSED, "its system crashed"),
    "watchdog": (MachineState.PAUSED, "its watchdog stopped it"),
}
"""RunState of qapi/run-state.json."""


class Session:
    """The run `run`, proven to be `process`. `tell` is called with each event, and must not raise. With a `cap` it is stopped when it
    has written more. The `agent`'s channel is let go with it."""

    def __init__(
        self,
        run: RunId,
        folder: Path,
        process: ProcessIdentity,
        tell: Callable[[RunEvent], None],
        agent: AgentChannel,
        *,
        cap: OverlayCap | None = None,
    ) -> None:
        self.run = run
        self.process = process
        self.agent = agent
        self.ended = asyncio.Event()
        self._folder = folder
        self._tell = tell
        self._cap = cap
        self._armed = False
        self._ready = asyncio.Event()
        self._stopped = asyncio.Event()
        self._apart = asyncio.Event()
        self._apart.set()
        self._client: QMPClient | None = None
        self._uuid: uuid.UUID | None = None
        self._memory_mib = 0
        self._state = MachineState.RUNNING
        self._reason = ""
        self._viewers = Viewers(self._say)
        self._last_words = ""
        self._pidfd: int | None = None
        self._migrated: asyncio.Future[str] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """From now its end is seen and its monitor is listened to."""
        self._pidfd = open_pidfd(self.process)
        keeper = self._do(self._keep())
        if self._pidfd is None:
            self._do(self._finish(keeper))
        else:
            asyncio.get_running_loop().add_reader(self._pidfd, self._process_ended, keeper)

    def let_go(self) -> None:
        """The process's descriptor is closed. The tasks end with the loop."""
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        self._viewers.let_go()
        self.agent.let_go()

    async def status(self, deadline_seconds: float) -> RunStatus | None:
        """What it is now; SILENT when it does not answer within the deadline; None when it has ended."""
        state, reason = MachineState.SILENT, f"it has not answered for {deadline_seconds:g} s"
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._look_again()
            state, reason = self._state, self._reason
        except TimeoutError:
            pass
        except QMPError as error:
            reason = "its monitor does not answer as it should"
            log.warning("%s: %s: %s", self.run, reason, error)
        except HypervisorError:
            log.debug("%s: ended while it was asked", self.run)
        if self.ended.is_set() or not is_alive(self.process):
            return None
        return RunStatus(
            run=self.run,
            uuid=self._uuid,
            state=state,
            reason=reason,
            viewers=self._viewers.count,
            started_at=started_at(self.process),
            pid=self.process.pid,
            memory_mib=self._memory_mib,
        )

    async def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, deadline_seconds: float, descriptor: int | None = None
    ) -> object:
        """QEMU's answer; `descriptor` goes along. Raises HypervisorError (it refused, or has ended), DriverTimeout, OutcomeUnknown."""
        asked = False
        try:
            async with asyncio.timeout(deadline_seconds):
                client = await self._connected()
                asked = True
                if descriptor is not None:
                    client.send_fd_scm(descriptor)
                return await client.execute(command, arguments)
        except TimeoutError as error:
            raise DriverTimeout(
                f"{self.run.guest} did not answer within {deadline_seconds:g} s.",
                operation=command,
                subject=self.run.guest,
                hint="Look again; if it stays silent, kill it: labvirt guest stop NAME --how kill",
            ) from error
        except ExecuteError as error:
            raise HypervisorError(
                f"QEMU refused {command} for {self.run.guest}: {error}", operation=command, subject=self.run.guest
            ) from error
        except (ExecInterruptedError, StateError) as error:
            raise self._broken(command, asked) from error

    async def go_on(self, *, deadline_seconds: float) -> None:
        """It is told to go on. Raises HypervisorError while it has written more than it may, and what `execute` raises."""
        # QEMU may have told of a write beyond the cap that has not made the file longer yet.
        if self._cap is not None and (self._reason == OVERLAY_CAP_REASON or self._cap.is_beyond(self._folder)):
            raise HypervisorError(
                f"{self.run.guest} cannot go on: {OVERLAY_CAP_REASON} ({self._cap.limit_bytes >> 20} MiB).",
                operation="resume",
                subject=self.run.guest,
                hint="Stop it: what it wrote is kept for a while (labvirt rescue list). More room, from its next start: overlay_cap_mib.",
            )
        self._stopped.clear()
        await self.execute("cont", deadline_seconds=deadline_seconds)

    async def freeze(self, state: int, *, deadline_seconds: float) -> None:
        """It stands still for good, and its device state is in the file `state`. Raises what `execute` raises."""
        self._migrated = asyncio.get_running_loop().create_future()
        await self.execute("stop", deadline_seconds=deadline_seconds)
        await self.execute("migrate-set-capabilities", {"capabilities": CAPABILITIES}, deadline_seconds=deadline_seconds)
        await self.execute("getfd", {"fdname": "state"}, deadline_seconds=deadline_seconds, descriptor=state)
        await self.execute("migrate", {"uri": "fd:state"}, deadline_seconds=deadline_seconds)
        try:
            async with asyncio.timeout(deadline_seconds):
                end = await self._migrated
        except TimeoutError:
            end = f"not within {deadline_seconds:g} s"
        if end != "completed":
            raise HypervisorError(f"The state of {self.run.guest} could not be kept: {end}.", operation="freeze", subject=self.run.guest)

    async def _look_again(self) -> None:
        """Look, over the next connection too if the present one is just breaking."""
        while True:
            try:
                return await self._look(await self._connected())
            except (ExecInterruptedError, StateError):
                await asyncio.sleep(0.02)

    async def wait_stopped(self, seconds: float) -> str | None:
        """Why it was stopped if that happens within so many seconds, else None. Forgets earlier stops when called."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
                return self._reason
        return None

    async def told(self) -> None:
        """The end has been told."""
        await self.ended.wait()

    def _broken(self, command: str, asked: bool) -> HypervisorError | OutcomeUnknown:
        if not asked or self.ended.is_set():
            return HypervisorError(f"{self.run.guest} has ended.", operation=command, subject=self.run.guest)
        return OutcomeUnknown(
            f"The connection to {self.run.guest} broke while it was asked to {command}.",
            operation=command,
            subject=self.run.guest,
            hint="Look at its state before you try again.",
        )

    async def _connected(self) -> QMPClient:
        ready, ended = asyncio.ensure_future(self._ready.wait()), asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            ended.cancel()
        if self._client is None or self.ended.is_set():
            raise HypervisorError(f"{self.run.guest} has ended.", subject=self.run.guest)
        return self._client

    async def _keep(self) -> None:
        pause = 0.05
        while True:
            try:
                await self._converse()
                pause = 0.05
            except (QMPError, OSError, EOFError) as error:
                log.debug("%s: no conversation: %s", self.run, error)
            finally:
                self._client = None
                self._ready.clear()
                self._apart.set()
            await asyncio.sleep(pause)  # the process's end cancels this
            pause = min(pause * 2, 2.0)

    async def _converse(self) -> None:
        """One connection from its greeting to its end."""
        connection = connect_unix(self._folder / layout.QMP_SOCKET, timeout=0)
        if prove_peer(self._folder, connection) != self.process:
            connection.close()
            raise ConnectionRefusedError(f"somebody else answers for {self.run}")
        client = QMPClient(str(self.run), readbuflen=LINE_LIMIT)
        events = EventListener()
        client.register_listener(events)
        try:
            try:
                await client.connect(connection)
            except BaseException:
                connection.close()
                raise
            self._apart.clear()
            self._armed = False
            hearing = self._do(self._listen(client, events))
            try:
                await self._look(client)
                self._client = client
                self._ready.set()
                self.agent.hold()
                while client.runstate is Runstate.RUNNING:
                    await client.runstate_changed()
            finally:
                while not events.empty():  # what it said last
                    self._hear(client, await events.get())
                hearing.cancel()
        finally:
            with contextlib.suppress(QMPError, OSError, EOFError):
                await client.disconnect()

    async def _listen(self, client: QMPClient, events: EventListener) -> None:
        async for event in events:
            self._hear(client, event)

    async def _look(self, client: QMPClient) -> None:
        """Ask for everything that events would have told."""
        if self._uuid is None:
            self._uuid = uuid.UUID(str(_text(await client.execute("query-uuid"), "UUID")))
            size = await client.execute("query-memory-size-summary")
            self._memory_mib = int(_text(size, "base-memory")) >> 20
        status = _text(await client.execute("query-status"), "status")
        state, reason = _STATES.get(status, (MachineState.RUNNING, ""))
        if status == "io-error" and (self._reason == DISK_FULL or await _is_full(client)):
            reason = DISK_FULL
        if status == "paused" and self._is_beyond():
            reason = OVERLAY_CAP_REASON
        self._state, self._reason = state, reason
        await self._mind_cap(client)
        with contextlib.suppress(ExecuteError):  # this run has no SPICE
            self._viewers.compare(await client.execute("query-spice"))

    def _is_beyond(self) -> bool:
        return self._cap is not None and self._cap.is_beyond(self._folder)

    async def _mind_cap(self, client: QMPClient) -> None:
        """It is stopped if it has written more than it may, and else it will be told."""
        if self._cap is None:
            return
        if not self._armed:
            # First the threshold and then the look: what is written in between is seen by one of them.
            for arguments in self._cap.thresholds():
                await client.execute("block-set-write-threshold", arguments)
            self._armed = True
        if self._state is MachineState.RUNNING and self._is_beyond():
            await client.execute("stop")
            self._state, self._reason = MachineState.PAUSED, OVERLAY_CAP_REASON

    async def _hold(self, client: QMPClient) -> None:
        """Stopped because its overlay grows beyond its cap."""
        try:
            await client.execute("stop")
        except QMPError as error:
            log.warning("%s: could not be stopped at its cap: %s; the next look will", self.run, error)

    def _hear(self, client: QMPClient, message: Mapping[str, object]) -> None:
        data = message.get("data")
        data = data if isinstance(data, Mapping) else {}
        match message.get("event"):
            case "STOP":
                if self._state is not MachineState.PAUSED:
                    known = self._reason or (OVERLAY_CAP_REASON if self._is_beyond() else "it was stopped")
                    self._state, self._reason = MachineState.PAUSED, known
                self._stopped.set()
                self._say(EventKind.PAUSED, self._reason)
            case "RESUME":
                self._state, self._reason = MachineState.RUNNING, ""
                self._say(EventKind.RESUMED)
            case "BLOCK_IO_ERROR" if data.get("action") == "stop":
                self._reason = DISK_FULL if data.get("nospace") else "its disk could not be written"
            case "BLOCK_WRITE_THRESHOLD":
                self._armed = False  # each is told once
                self._reason = OVERLAY_CAP_REASON
                self._do(self._hold(client))
            case "GUEST_PANICKED":
                self._reason = "its system crashed"
            case "SHUTDOWN":
                if data.get("guest"):
                    self._last_words = "it switched itself off"
                    self._say(EventKind.GUEST_SHUTDOWN)
                else:
                    self._last_words = "it was stopped"
            case "MIGRATION" if data.get("status") in ENDS:
                if self._migrated is not None and not self._migrated.done():
                    self._migrated.set_result(str(data.get("status")))
            case "RESET":
                self._say(EventKind.RESET)
            case "SPICE_INITIALIZED":
                self._viewers.initialized(data.get("client"))
            case "SPICE_DISCONNECTED":
                self._viewers.disconnected(data.get("client"))

    def _process_ended(self, keeper: asyncio.Task[None]) -> None:
        self.let_go()
        self._do(self._finish(keeper))

    async def _finish(self, keeper: asyncio.Task[None]) -> None:
        """Tell the end, after what is still in the connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._apart.wait()
        keeper.cancel()
        await asyncio.wait((keeper,))
        if self._migrated is not None and not self._migrated.done():
            self._migrated.set_result("it ended")
        # Who hears of the end takes the run's files: nobody may write to them any more.
        try:
            await asyncio.to_thread(tpm.await_end, self._folder)
        except DriverTimeout as error:
            log.warning("%s: %s", self.run, error)
        self.ended.set()
        self._say(EventKind.ENDED, self._last_words or last_words(self._folder))

    def _say(self, kind: EventKind, detail: str = "", *, peer: str = "") -> None:
        self._tell(RunEvent(run=self.run, kind=kind, detail=detail, peer=peer))

    def _do(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # a loop keeps its tasks only weakly
        task.add_done_callback(self._tasks.discard)
        return task


def last_words(folder: Path) -> str:
    """The last thing QEMU wrote to its log, for a sentence; says so when there is nothing."""
    lines = [line.strip() for line in read_tail(folder / layout.LOG, 2000).splitlines() if line.strip()]
    return _STAMP.sub("", lines[-1])[:300] if lines else "QEMU ended without a word"


async def _is_full(client: QMPClient) -> bool:
    blocks = await client.execute("query-block")
    listed = blocks if isinstance(blocks, list) else []
    return any(isinstance(block, Mapping) and block.get("io-status") == "nospace" for block in listed)


def _text(answer: object, key: str) -> str:
    """One value of an answer. Raises HypervisorError when QEMU does not answer as documented."""
    if not isinstance(answer, Mapping) or key not in answer:
        raise HypervisorError(f"QEMU's answer has no {key}.", hint="This QEMU is not one LabVirt knows (7.2 to 10).")
    return str(answer[key])
