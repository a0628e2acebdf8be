# SPDX-License-Identifier: MIT
"""A hypervisor without machines: remembers its runs in one file, refuses what the real ones refuse, and can be told
to misbehave.

1. The file is the truth, as processes are for QEMU: another FakeHypervisor over the same file, in any process, adopts
what runs.
2. Events are what changed in the file since this instance last looked; `running` and every verb look.
3. What happens by itself in a real guest happens here when somebody calls a verb of `Happenings`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw

from labvirt.contracts.hypervisor import (
    OVERLAY_CAP_REASON,
    TPM_STATE,
    UEFI_VARIABLES,
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
from labvirt.errors import AgentSilent, Conflict, DriverTimeout, HypervisorError
from labvirt.hypervisors import media
from labvirt.hypervisors.fake_console import HEIGHT, WIDTH, FakeScreens, open_screen, open_serial
from labvirt.hypervisors.fake_disks import is_beyond, write_into
from labvirt.hypervisors.fake_memory import Glance, Memory, Run, changes, dump, load, recall, status_of
from labvirt.hypervisors.fake_templates import FakeTemplates
from labvirt.hypervisors.qemu import command
from labvirt.system import locks
from labvirt.system.files import write_atomic

DISK_FULL = "the disk of the host is full"
SILENT = "silent"
_CAPABILITIES = frozenset(
    {
        *(Capability.DISPLAY_SECRET, Capability.SCREENSHOT, Capability.CONSOLE, Capability.OVERLAY_CAP, Capability.TPM),
        *(Capability.GUEST_LOGIN, Capability.INSTANT_CLONE, Capability.SPARE_CLONE),
    }
)
_GREYS = ((24, 32, 40), (230, 235, 240))


class FakeHypervisor:
    """Keeps contracts.hypervisor.Hypervisor. `memory` is its file, made when needed; `templates` a folder."""

    def __init__(self, memory: Path, *, templates: Path | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._file = memory
        self._glance = Glance(memory)
        self._now = now
        self._listeners: tuple[Listener, ...] = ()
        self._seen: dict[str, Run] | None = None
        self._seeing = threading.RLock()
        self._closed = threading.Event()
        self._events: queue.SimpleQueue[RunEvent | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._screens = FakeScreens(self._image)
        self._templates = FakeTemplates(self, templates or memory.parent / "templates", now=now)

    def capabilities(self) -> HypervisorInfo:
        return HypervisorInfo(
            driver="fake",
            version="1",
            accelerator="fake",
            capabilities=_CAPABILITIES,
            notice="This controller only pretends: no guest is real.",
        )

    def command_line(self, spec: LaunchSpec) -> tuple[str, ...]:
        return ("fake", *command.render(spec, accelerator="tcg"))

    def start(self, spec: LaunchSpec) -> RunStatus:
        return self._begin(spec)

    def templates(self) -> FakeTemplates:
        return self._templates

    def _begin(self, spec: LaunchSpec, *, machine: str = "", template: str = "") -> RunStatus:
        name = spec.run.guest
        with self._changing() as memory:
            known = memory.runs.get(str(spec.run))
            if known is not None:
                return status_of(spec.run, known)
            refusal = memory.refusals.get(name)
            delay = memory.delays.get(name, 0.0)
        if not spec.folder.is_dir():
            refusal = f"its folder {spec.folder.name} is missing"
        for drive in spec.drives:
            for layer in drive.chain:
                if drive.cdrom:
                    refusal = media.obstacle(layer.path, spec.uid, walks=False) or refusal
                elif not layer.path.is_file():
                    refusal = f"its disk file {layer.path.name} is missing"
        if delay and self._closed.wait(delay):
            refusal = "the controller was stopped"
        if refusal:
            hint = "This controller pretends; the disks are real."
            raise HypervisorError(f"{name} cannot be started: {refusal}.", operation="start", subject=name, hint=hint)
        _make_companions(spec)
        with self._changing() as memory:
            memory.last_pid += 1
            memory.ends.pop(str(spec.run), None)
            memory.runs[str(spec.run)] = Run(
                uuid=str(spec.uuid),
                pid=memory.last_pid,
                memory_mib=spec.memory_mib,
                started_at=self._now().isoformat(),
                display=spec.spice is not None,
                cap_bytes=spec.overlay_cap_bytes,
                overlays=[str(drive.chain[0].path) for drive in spec.drives if drive.chain and not drive.cdrom],
                machine=machine,
                template=template,
            )
            return status_of(spec.run, memory.runs[str(spec.run)])

    def running(self) -> tuple[RunStatus, ...]:
        with self._changing() as memory:
            return tuple(sorted((status_of(RunId.parse(k), v) for k, v in memory.runs.items()), key=lambda s: s.run))

    def stop(self, run: RunId, how: StopHow) -> None:
        self._templates.drop(run)
        with self._changing() as memory:
            known = memory.runs.get(str(run))
            if known is None:
                return
            if how is not StopHow.KILL:
                _answering(run, known)
            if how is StopHow.SHUTDOWN:  # these guests always obey their power button
                memory.ends[str(run)] = "it switched itself off"
            else:
                memory.ends[str(run)] = "it was stopped" if how is StopHow.STOP else "QEMU ended without a word"
            del memory.runs[str(run)]

    def reset(self, run: RunId) -> None:
        with self._one(run) as known:
            known.resets += 1

    def pause(self, run: RunId) -> None:
        with self._one(run) as known:
            if known.state is not MachineState.PAUSED:
                known.state, known.reason = MachineState.PAUSED, "it was stopped"

    def resume(self, run: RunId) -> None:
        with self._one(run) as known:
            if is_beyond(known):
                raise HypervisorError(
                    f"{run.guest} cannot go on: {OVERLAY_CAP_REASON}.",
                    operation="resume",
                    subject=run.guest,
                    hint="Stop it: what it wrote is kept for a while (labvirt rescue list).",
                )
            if known.full:
                raise HypervisorError(
                    f"{run.guest} stopped again at once: {DISK_FULL}.",
                    operation="resume",
                    subject=run.guest,
                    hint="Make room on the disk of the host, then resume it again.",
                )
            known.state, known.reason = MachineState.RUNNING, ""

    def grant_display(self, run: RunId, secret: str, seconds: int) -> None:
        with self._one(run) as known:
            if not known.display:
                raise HypervisorError(f"{run.guest} has no SPICE display.", operation="grant", subject=run.guest)
            known.secret = _digest(secret) if seconds > 0 else ""
            known.secret_until = datetime.fromtimestamp(self._now().timestamp() + seconds, UTC).isoformat()

    def set_login(self, run: RunId, user: str, password: str) -> None:
        with self._agent(run) as known:
            if known.agent:
                raise Conflict(f"The agent of {run.guest} does not set the password of {user!r}: {known.agent}.")
            known.logins[user] = _digest(password)

    def read_guest_file(self, run: RunId, path: str, most: int) -> bytes | None:
        with self._agent(run) as known:
            content = base64.b64decode(known.files[path]) if path in known.files else None
            return content if content is not None and len(content) <= most else None

    def screenshot(self, run: RunId) -> bytes:
        with self._one(run) as known:
            return _picture(run, known)

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        with self._one(run):
            pass
        if kind is ConsoleKind.SERIAL:
            return open_serial(str(run), run.guest, lambda name: self._run(name) is not None)
        return open_screen(self._screens, str(run))

    def _froze(self, run: RunId) -> None:
        """It is stopped for good, and what it was is about to be kept."""
        with self._one(run):
            pass
        with self._changing() as memory:
            memory.ends[str(run)] = "it was stopped"
            memory.runs.pop(str(run), None)

    def _run(self, name: str) -> Run | None:
        return self._glance.now().runs.get(name)

    def _image(self, name: str) -> Image.Image | None:
        known = self._run(name)
        return _drawn(name, str(known.state), known.reason, known.memory_mib) if known is not None else None

    def subscribe(self, listener: Listener) -> None:
        with self._seeing:
            self._listeners = (*self._listeners, listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name="fake-events", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._templates.close()
        with self._seeing:
            self._listeners = ()
            self._events.put(None)

    @property
    def happenings(self) -> Happenings:
        """What the world does to these guests."""
        return Happenings(self)

    @contextmanager
    def _one(self, run: RunId) -> Iterator[Run]:
        with self._changing() as memory:
            known = memory.runs.get(str(run))
            if known is None:
                raise HypervisorError(f"{run.guest} does not run.", subject=run.guest, hint="Start it first.")
            _answering(run, known)
            yield known

    @contextmanager
    def _agent(self, run: RunId) -> Iterator[Run]:
        with self._one(run) as known:
            if known.agent == SILENT or known.state is not MachineState.RUNNING:
                raise AgentSilent(run.guest)
            yield known

    @contextmanager
    def _changing(self) -> Iterator[Memory]:
        """The memory, alone; kept when the block ends well. Then the listeners hear what has changed."""
        with self._seeing:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            lock = locks.take(self._file.with_suffix(".lock"), wait=True)
            assert lock is not None
            with lock:
                memory, before = recall(self._file)
                if self._seen is None:
                    self._seen = load(self._file).runs
                yield memory  # a verb that raises leaves the file as it is
                after = dump(memory)
                if after != before:
                    write_atomic(self._file, after)
            for event in changes(self._seen, memory):
                self._events.put(event)
            self._seen = memory.runs

    def _deliver(self) -> None:
        """On a thread of its own, as the real drivers do: a listener may hold locks that our callers hold."""
        while (event := self._events.get()) is not None:
            for listener in self._listeners:
                listener(event)


class Happenings:
    """The verbs of the world, for tests and the demo: they change the memory, and the driver finds out."""

    def __init__(self, hypervisor: FakeHypervisor) -> None:
        self._changing = hypervisor._changing
        self._now = hypervisor._now

    def refuse_start(self, guest: str, why: str) -> None:
        """Starts of this guest fail with this reason, until `mend`."""
        with self._changing() as memory:
            memory.refusals[guest] = why

    def slow_start(self, guest: str, seconds: float) -> None:
        """Starts of this guest take so long, until `mend`."""
        with self._changing() as memory:
            memory.delays[guest] = seconds

    def mend(self, guest: str) -> None:
        """Starts of this guest are as they should be."""
        with self._changing() as memory:
            memory.refusals.pop(guest, None)
            memory.delays.pop(guest, None)

    def crash(self, run: RunId, detail: str = "QEMU ended without a word") -> None:
        """The process is gone."""
        with self._changing() as memory:
            if memory.runs.pop(str(run), None) is not None:
                memory.ends[str(run)] = detail

    def silence(self, run: RunId) -> None:
        """It lives and answers nothing, until `speak`."""
        self._set(run, MachineState.SILENT, "it has not answered for 2 s")

    def speak(self, run: RunId) -> None:
        self._set(run, MachineState.RUNNING, "")

    def fill_disk(self, run: RunId) -> None:
        """The host's disk is full: the guest is stopped, and cannot go on before `free_disk`."""
        self._set(run, MachineState.PAUSED, DISK_FULL, full=True)

    def free_disk(self, run: RunId) -> None:
        """There is room again; the guest waits to be resumed."""
        with self._changing() as memory:
            memory.runs[str(run)].full = False

    def write(self, run: RunId, count: int, *, disk: int = 0, at: int = 0, pattern: int = 0x5A) -> None:
        """The guest writes `count` bytes of `pattern` on its disk, `at` bytes from its begin (qcow2: whole clusters of 64 KiB are cheap).
        They are really in its overlay afterwards; beyond its cap it is paused. A file that is no qcow2 just grows by `count`."""
        with self._changing() as memory:
            path = Path(memory.runs[str(run)].overlays[disk])
        write_into(path, count, at=at, pattern=pattern)
        with self._changing() as memory:
            known = memory.runs.get(str(run))
            if known is not None and known.state is MachineState.RUNNING and is_beyond(known):
                known.state, known.reason = MachineState.PAUSED, OVERLAY_CAP_REASON

    def connect_viewer(self, run: RunId, peer: str, secret: str | None = None) -> bool:
        """A viewer at address `peer` connects. With a `secret`, only if it is the granted one and has not expired."""
        with self._changing() as memory:
            known = memory.runs[str(run)]
            if secret is not None:
                expired = not known.secret_until or datetime.fromisoformat(known.secret_until) <= self._now()
                if expired or known.secret != _digest(secret):
                    return False
            known.viewers.append(peer)
        return True

    def disconnect_viewer(self, run: RunId, peer: str) -> None:
        with self._changing() as memory:
            memory.runs[str(run)].viewers.remove(peer)

    def set_agent(self, run: RunId, how: str) -> None:
        """The agent inside: '' answers, 'silent' does not, anything else is why it refuses."""
        with self._changing() as memory:
            memory.runs[str(run)].agent = how

    def put_file(self, run: RunId, path: str, content: bytes) -> None:
        """There is this file inside the guest."""
        with self._changing() as memory:
            memory.runs[str(run)].files[path] = base64.b64encode(content).decode()

    def lets_in(self, run: RunId, user: str, password: str) -> bool:
        """Is this the password of that user inside the guest?"""
        with self._changing() as memory:
            return memory.runs[str(run)].logins.get(user) == _digest(password)

    def switch_off(self, run: RunId) -> None:
        """Whoever sits there has shut the guest down."""
        with self._changing() as memory:
            memory.ends[str(run)] = "it switched itself off"
            del memory.runs[str(run)]

    def _set(self, run: RunId, state: MachineState, reason: str, *, full: bool = False) -> None:
        with self._changing() as memory:
            known = memory.runs[str(run)]
            known.state, known.reason, known.full = state, reason, full


def _make_companions(spec: LaunchSpec) -> None:
    """The files that a real machine would have made beside its disk."""
    wanted = {UEFI_VARIABLES: spec.firmware is Firmware.UEFI, TPM_STATE: spec.tpm}
    for name in (name for name, needed in wanted.items() if needed and not (spec.folder / name).exists()):
        write_atomic(spec.folder / name, f"pretended {name}\n", owner=spec.uid)


def _answering(run: RunId, known: Run) -> None:
    if known.state is MachineState.SILENT:
        raise DriverTimeout(f"{run.guest} did not answer within 2 s.", subject=run.guest, hint="Kill it if it stays silent.")


def _picture(run: RunId, known: Run) -> bytes:
    file = io.BytesIO()
    _drawn(str(run), str(known.state), known.reason, known.memory_mib).save(file, "PNG")
    return file.getvalue()


@lru_cache(maxsize=64)
def _drawn(name: str, state: str, reason: str, memory_mib: int) -> Image.Image:
    """The guest's name on a colour of its own. Many look at the same picture: nobody may paint on it."""
    run = RunId.parse(name)
    hue = int(hashlib.sha256(run.guest.encode()).hexdigest()[:6], 16)
    ground = (40 + (hue >> 16) % 80, 40 + (hue >> 8 & 255) % 80, 60 + (hue & 255) % 80)
    image = Image.new("RGB", (WIDTH, HEIGHT), ground)
    draw = ImageDraw.Draw(image)
    draw.text((24, 24), run.guest, fill=_GREYS[1], font_size=48)
    draw.text((24, 96), f"{state} {reason}".strip(), fill=_GREYS[1], font_size=20)
    draw.text((24, 360), f"generation {run.generation}, {memory_mib} MiB, pretended", fill=_GREYS[1], font_size=16)
    return image


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
