# SPDX-License-Identifier: MIT
"""The TPM of a run: one swtpm process, whose only file is tpm2.state in the run's folder, and whose only line is a pair of sockets with
QEMU's end.

1. Each process is handed its end. No socket lies in a folder and nobody else can be at the other end. When QEMU ends, the line breaks and
swtpm ends by itself (--terminate). QEMU comes first and waits for it: should the engine die in between, the line breaks and QEMU ends.
2. swtpm outlives the engine as QEMU does. It is known by its log, which it holds as its output; no pid is kept.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.errors import DriverTimeout, HypervisorError
from labvirt.hypervisors.qemu import layout, sandbox
from labvirt.system.process import run, send_signal, spawn_detached, wait_end, writers_of

PROGRAM = "swtpm"
LINE_DESCRIPTOR = 3

END_SECONDS = 5.0
"""It ends within milliseconds of QEMU: what it knows is in its file already."""


_MAGIC = b"nilmptws"
"""How swtpm's file begins: SWTPM_NVSTORE_LINEAR_MAGIC, little endian (swtpm_nvstore_linear.h)."""


def is_able() -> bool:
    """Is there a swtpm that makes a TPM 2.0 and keeps it in one file (0.7 and later)?"""
    answer = run((PROGRAM, "socket", "--print-capabilities"), timeout=20)
    try:
        features = json.loads(answer.stdout).get("features", ())
    except (ValueError, AttributeError):
        return False
    return answer.ok and {"tpm-2.0", "nvram-backend-file"} <= set(features)


def command_line(spec: LaunchSpec, *, root: bool) -> tuple[str, ...]:
    """The exact argv: pure."""
    return (
        *sandbox.tpm_prefix(spec, root=root),
        *(PROGRAM, "socket", "--tpm2", "--tpmstate", f"backend-uri=file://{layout.TPM_INSIDE}"),
        *("--ctrl", f"type=unixio,clientfd={LINE_DESCRIPTOR}", "--terminate"),
    )


def prepare(spec: LaunchSpec) -> tuple[socket.socket, socket.socket]:
    """No older one runs, its state's file is there. Returns the two ends of the line: QEMU's, and the one for `begin`.

    Raises HypervisorError, DriverTimeout, OSError.
    """
    end(spec.folder)
    (spec.folder / layout.TPM_LOG).unlink(missing_ok=True)
    _make_state(spec)
    return socket.socketpair()


def begin(spec: LaunchSpec, line: socket.socket, *, root: bool) -> None:
    """It runs. To be called when QEMU exists already: swtpm waits for ever for a QEMU that never spoke to it. Raises OSError."""
    spawn_detached(command_line(spec, root=root), log=spec.folder / layout.TPM_LOG, descriptors=[line.fileno()])


def await_end(folder: Path) -> None:
    """The swtpm of a run whose QEMU is gone has ended too, and its state is whole."""
    if not (folder / layout.TPM_LOG).exists():
        return
    deadline = time.monotonic() + END_SECONDS
    if not all(wait_end(process, max(0.0, deadline - time.monotonic())) for process in writers_of(folder / layout.TPM_LOG)):
        end(folder)


def end(folder: Path) -> None:
    """No swtpm of the run in `folder` exists. Raises DriverTimeout."""
    while found := writers_of(folder / layout.TPM_LOG):
        for process in found:
            send_signal(process, signal.SIGKILL)
        if not all(wait_end(process, END_SECONDS) for process in found):
            raise DriverTimeout(f"The TPM of {folder.name} does not end.", operation="kill", subject=folder.name, hint="Try again.")


def _make_state(spec: LaunchSpec) -> None:
    """The state's file is there, ordinary, and the guest's own: the sandbox is mounted onto whatever lies there."""
    path = spec.folder / layout.TPM_STATE
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o600)
    try:
        found = os.fstat(descriptor)
        is_ordinary = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
        # swtpm takes a file that it does not know for an empty one and writes over it: keys of encrypted disks would be lost.
        if not is_ordinary or (found.st_size > 0 and os.pread(descriptor, len(_MAGIC), 0) != _MAGIC):
            raise HypervisorError(
                f"{spec.run.guest} cannot be started: the file of its TPM holds no state of a TPM.",
                operation="start",
                subject=spec.run.guest,
                hint=f"Bring back the right one from an older version, or remove it and begin with an empty TPM: {path}",
            )
        if spec.uid is not None:
            # PRIVILEGE: CAP_CHOWN. An ordinary file with this one name, in the run's own folder, opened without following a link.
            os.fchown(descriptor, spec.uid, spec.uid)
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
