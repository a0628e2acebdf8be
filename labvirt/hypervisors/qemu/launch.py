# SPDX-License-Identifier: MIT
"""Bringing QEMU up, and down again when it does not come: files, descriptors, the process, its greeting.

The QMP socket listens before the process exists and is handed to it. So the socket answers if and only if a process
of the run lives, from its first moment on and whoever crashes meanwhile; and its greeting, or its end, is waited for
and not polled.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.domain.profile import Firmware
from labvirt.errors import DriverTimeout, HypervisorError
from labvirt.hypervisors import wakers
from labvirt.hypervisors.qemu import identity, layout, tpm
from labvirt.hypervisors.qemu.record import LaunchRecord
from labvirt.hypervisors.qemu.session import last_words
from labvirt.hypervisors.qemu.waking import Fork, Sleeper
from labvirt.system import privileges
from labvirt.system.files import read_tail, write_atomic
from labvirt.system.machine import boot_id
from labvirt.system.process import send_signal, spawn_detached, wait_end
from labvirt.system.sockets import connect_unix, listen_unix
from labvirt.system.tap import open_tap

GREETING_LIMIT = 65536
CLOSING_SECONDS = 2.0


def launch(spec: LaunchSpec, argv: Sequence[str], *, deadline_seconds: float, machine: str = "") -> None:
    """QEMU runs and has greeted. After a failure no process of this run exists. `machine` goes into its record.

    Raises HypervisorError (with QEMU's last words), DriverTimeout.
    """
    try:
        with ExitStack() as descriptors:
            greeting = _spawn(spec, argv, descriptors, _record(spec, argv, machine, ""), None)
            descriptors.close()  # QEMU's copy of the listener is the last one now: when it ends, the connection breaks
            with greeting:
                _await_greeting(spec, greeting, deadline_seconds)
    except BaseException:
        end_all(spec.folder)
        raise


def hatch(spec: LaunchSpec, argv: Sequence[str], fork: Fork, *, deadline_seconds: float) -> Sleeper:
    """QEMU has greeted and waits for the state of its template. After a failure no process of this run exists; it is the caller's to end
    when the sleeper fails. Raises as `launch`."""
    closing = ExitStack()
    try:
        record = _record(spec, argv, "", closing.enter_context(wakers.waking()))
        with ExitStack() as descriptors:
            greeting = closing.enter_context(_spawn(spec, argv, descriptors, record, fork))
        _await_greeting(spec, greeting, deadline_seconds)
        return Sleeper(spec, fork, greeting, partial(_complete, spec, record), closing)
    except BaseException:
        closing.close()
        end_all(spec.folder)
        raise


def _record(spec: LaunchSpec, argv: Sequence[str], machine: str, waker: str) -> LaunchRecord:
    return LaunchRecord(
        run=str(spec.run),
        argv=tuple(argv),
        uuid=spec.uuid,
        uid=spec.uid,
        boot_id=boot_id(),
        overlay_cap_bytes=spec.overlay_cap_bytes,
        overlays=tuple(layout.overlays(spec)),
        machine=machine,
        waker=waker,
        on_trial=spec.on_trial,
    )


def _complete(spec: LaunchSpec, record: LaunchRecord) -> None:
    """From now on it is a run, whoever dies. Raises HypervisorError."""
    try:
        replace(record, waker="").write(spec.folder)
    except OSError as error:
        name = spec.run.guest
        raise HypervisorError(f"{name} cannot be started: {_reason(spec, error)}.", operation="clone", subject=name) from error


def _spawn(spec: LaunchSpec, argv: Sequence[str], descriptors: ExitStack, record: LaunchRecord, fork: Fork | None) -> socket.socket:
    """The process exists. Returns a connection to its monitor, which has not answered yet."""
    name = spec.run.guest
    try:
        _prepare(spec, record)
        listener = descriptors.enter_context(listen_unix(spec.folder / layout.QMP_SOCKET))
        passed = [listener.fileno()]
        if fork is not None:
            passed.append(fork.ram)
        elif spec.port is not None:
            tap = open_tap(str(spec.port.tap))
            descriptors.callback(os.close, tap)
            passed.append(tap)
        line = None
        if spec.tpm:
            ours, line = (descriptors.enter_context(end) for end in tpm.prepare(spec))
            passed.append(ours.fileno())
        greeting = connect_unix(spec.folder / layout.QMP_SOCKET)
        try:
            spawn_detached(argv, log=spec.folder / layout.LOG, descriptors=passed)
            if line is not None:
                tpm.begin(spec, line, root=privileges.is_root())
        except BaseException:
            greeting.close()
            raise
        return greeting
    except OSError as error:
        raise HypervisorError(
            f"{name} cannot be started: {_reason(spec, error)}.", operation="start", subject=name, hint="labvirt doctor"
        ) from error


def _prepare(spec: LaunchSpec, record: LaunchRecord) -> None:
    """Everything that must lie in the folder before QEMU begins. Raises OSError."""
    for leftover in (layout.VNC_SOCKET, layout.SERIAL_SOCKET, layout.AGENT_SOCKET, layout.LOG, layout.RAM):
        (spec.folder / leftover).unlink(missing_ok=True)
    if spec.firmware is Firmware.UEFI and not (spec.folder / layout.UEFI_VARIABLES).is_file():
        template = layout.UEFI_VARIABLES_TEMPLATE.read_bytes()
        write_atomic(spec.folder / layout.UEFI_VARIABLES, template, owner=spec.uid)
    record.write(spec.folder)


def _await_greeting(spec: LaunchSpec, connection: socket.socket, seconds: float) -> None:
    name = spec.run.guest
    deadline = time.monotonic() + seconds
    heard = b""
    while b"\n" not in heard and len(heard) < GREETING_LIMIT:
        try:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = connection.recv(4096)
        except TimeoutError as error:
            raise DriverTimeout(
                f"{name} was started and did not answer within {seconds:g} s.",
                operation="start",
                subject=name,
                hint="The host is overloaded, or its disk does not answer. Try again.",
            ) from error
        except OSError:  # connection reset: it ended with our connection in its queue
            piece = b""
        if not piece:
            raise HypervisorError(
                f"QEMU refused to run {name}: {last_words(spec.folder)}{_tpm_words(spec)}",
                operation="start",
                subject=name,
                hint=f"Its whole log: {spec.folder / layout.LOG}",
            )
        heard += piece


def _tpm_words(spec: LaunchSpec) -> str:
    """What the emulator of the TPM said last, where QEMU's trouble may be its."""
    lines = [line.strip() for line in read_tail(spec.folder / layout.TPM_LOG, 600).splitlines() if line.strip()] if spec.tpm else []
    return f" (its TPM: {lines[-1][:200]})" if lines else ""


def _reason(spec: LaunchSpec, error: OSError) -> str:
    if spec.port is not None and error.errno in (errno.ENODEV, errno.ENXIO):
        return f"its network port {spec.port.tap} does not exist"
    if spec.port is not None and error.errno == errno.EBUSY:
        return f"another process uses its network port {spec.port.tap}"
    if error.errno == errno.ENOSPC:
        return "the disk of the host is full"
    return f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")


def end_all(folder: Path, *, deadline_seconds: float = 10.0) -> None:
    """No process of the run in `folder` exists.

    Raises DriverTimeout when one does not go (it waits for a broken disk).
    """
    deadline = time.monotonic() + deadline_seconds
    _end_found(folder, deadline)
    # A process that ends shows its descriptors no more a moment before the kernel has closed them: its monitor would still answer.
    _await_silence(folder, min(CLOSING_SECONDS, max(0.001, deadline - time.monotonic())))
    _end_found(folder, deadline)


def _await_silence(folder: Path, seconds: float) -> None:
    """Nobody holds the monitor, or so many seconds are over: a connection to it breaks when its last holder has gone."""
    try:
        with connect_unix(folder / layout.QMP_SOCKET) as monitor:
            monitor.settimeout(seconds)
            while monitor.recv(GREETING_LIMIT):
                pass
    except OSError:  # nobody there, broken, or too late
        return


def _end_found(folder: Path, deadline: float) -> None:
    # bubblewrap may be between its start and QEMU's: what is found is ended until nothing is found.
    while found := identity.find(folder):
        for process in found:
            send_signal(process, signal.SIGKILL)
        for process in found:
            if not wait_end(process, max(0.0, deadline - time.monotonic())):
                raise DriverTimeout(
                    f"The process {process.pid} of {folder.name} does not end.",
                    operation="kill",
                    subject=folder.name,
                    hint="It probably waits for a disk or a file server that does not answer.",
                )
