# SPDX-License-Identifier: MIT
"""Runs check files by pytest in their place (sandbox.py), with the guest's two channels and a counter where pictures are asked for.

The channels are connected here and handed over as descriptors: the process itself could open neither.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from labvirt.checks import files, report, sandbox
from labvirt.contracts.hypervisor import AGENT_SOCKET, SERIAL_SOCKET
from labvirt.contracts.trials import CheckReport, TrialGuest
from labvirt.domain.canary import CanaryStep
from labvirt.errors import HostNotReady, LabVirtError
from labvirt.system import privileges
from labvirt.system.process import Result, run
from labvirt.system.sockets import connect_unix

LOG_BYTES = 64 << 10
CONNECT_SECONDS = 2.0
PICTURES = 200
"""So many pictures one run of checks may ask for."""


def run_checks(
    root: Path, profile: str, names: Sequence[str], guest: TrialGuest, *, seconds: float, cancelled: Callable[[], bool]
) -> CheckReport:
    """Keeps contracts.trials.Trials.run_checks; `root` is the folder of all profiles' checks. Raises HostNotReady (no pytest, no
    bubblewrap), InvalidInput (a name that is none)."""
    paths = {name: files.check_path(root, profile, name) for name in names}
    missing = tuple(name for name, path in paths.items() if not path.is_file() or path.is_symlink())
    there = {name: path for name, path in paths.items() if name not in missing}
    lost = tuple(CanaryStep(name=f"check {name}", ok=False, said="there is no such file") for name in missing)
    if not there:
        return CheckReport(steps=lost, log="")
    with contextlib.ExitStack() as stack:
        told: dict[str, object] = {"name": guest.name, "address": str(guest.address)}
        handed: list[int] = []
        for key, name in (("agent", AGENT_SOCKET), ("serial", SERIAL_SOCKET)):
            connection = _connected(guest.folder / name)
            if connection is not None:
                told[key] = stack.enter_context(connection).fileno()
                handed.append(connection.fileno())
        counter, told["screen"] = _counter(stack, guest)
        sink, lines = _collector(stack)
        handed += [counter.fileno(), sink]
        pytest = ("-s", "-P", "-B", "-m", "pytest", "-p", "labvirt_check.plugin", *_OPTIONS, *there)
        try:
            argv = sandbox.argv(_place(there, told, sink, seconds), pytest, root=privileges.is_root(), uid=guest.uid)
            result = _run(argv, handed, seconds, cancelled)
        finally:
            os.close(sink)  # the reader ends when the last copy is closed
        raw = lines()
    if not raw and not result.timed_out:
        _must_be_able(result)
    log = (result.stdout + result.stderr)[-LOG_BYTES:].decode("utf-8", "replace")
    steps = report.parse(raw, tuple(there), _ended(result, seconds, cancelled()))
    return CheckReport(steps=(*steps, *lost), log=log)


class _CalledOff(Exception):
    pass


def _run(argv: Sequence[str], handed: Sequence[int], seconds: float, cancelled: Callable[[], bool]) -> Result:
    def heard(_piece: bytes) -> None:
        if cancelled():
            raise _CalledOff

    try:
        return run(argv, timeout=seconds, pass_fds=handed, heard=heard)
    except _CalledOff:
        return Result(argv=tuple(argv), code=-signal.SIGKILL, stdout=b"", stderr=b"", timed_out=True)


_OPTIONS = (
    *("-p", "no:cacheprovider", "-p", "no:faulthandler", "--rootdir", sandbox.CHECKS, "-c", "/dev/null"),
    *(
        "--import-mode=importlib",
        "--continue-on-collection-errors",
        "-o",
        "python_files=*.py",
        "-q",
        "--tb=short",
        "--color=no",
        "--capture=sys",
    ),
)


def _place(there: dict[str, Path], told: dict[str, object], sink: int, seconds: float) -> sandbox.Place:
    found = importlib.util.find_spec("pytest")
    if found is None or found.origin is None:
        raise HostNotReady("Check files are run by pytest, which is not installed here.", hint="apt-get install python3-pytest")
    return sandbox.Place(
        files=there,
        inside=Path(__file__).parent / "inside",
        packages=Path(found.origin).parent.parent,
        python=Path(getattr(sys, "_base_executable", sys.executable)).resolve(),
        base=Path(sys.base_prefix).resolve(),
        environment={
            "PATH": "/usr/bin:/usr/sbin",
            "HOME": "/tmp",  # noqa: S108 - of the sandbox
            "USER": "checks",
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{sandbox.INSIDE}:{sandbox.SITE}",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "LABVIRT_CHECK": json.dumps(told),
            "LABVIRT_CHECK_REPORT": str(sink),
        },
        seconds=max(1, int(seconds) + 1),
    )


def _connected(path: Path) -> socket.socket | None:
    try:
        connection = connect_unix(path, timeout=CONNECT_SECONDS)
    except OSError:
        return None
    connection.settimeout(None)
    return connection


def _counter(stack: contextlib.ExitStack, guest: TrialGuest) -> tuple[socket.socket, int]:
    """The other end of a counter at which one byte is answered with a picture (1, length, PNG) or a reason (0, length, words)."""
    ours, theirs = socket.socketpair()
    stack.enter_context(ours)
    stack.enter_context(theirs)

    def serve() -> None:
        with contextlib.suppress(OSError):
            for _ in range(PICTURES):
                if not ours.recv(1):
                    return
                fine, data = _picture(guest)
                ours.sendall(struct.pack(">BI", fine, len(data)) + data)

    def end() -> None:
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)  # wakes the thread
        thread.join()

    thread = threading.Thread(target=serve, name="check-pictures", daemon=True)
    thread.start()
    stack.callback(end)
    return theirs, theirs.fileno()


def _picture(guest: TrialGuest) -> tuple[int, bytes]:
    try:
        return 1, guest.screenshot()
    except LabVirtError as error:
        return 0, str(error).encode()


def _collector(stack: contextlib.ExitStack) -> tuple[int, Callable[[], bytes]]:
    """A descriptor to write to, and what was written when all its copies are closed: at most REPORT_BYTES, the rest is dropped."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    kept = bytearray()

    def read() -> None:
        for piece in _pieces(reading):
            kept.extend(piece[: max(0, report.REPORT_BYTES - len(kept))])

    def all_of_it() -> bytes:
        thread.join()
        return bytes(kept)

    thread = threading.Thread(target=read, name="check-report", daemon=True)
    thread.start()
    stack.callback(os.close, reading)
    stack.callback(thread.join)
    return writing, all_of_it


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, 65536):
        yield piece


def _must_be_able(result: Result) -> None:
    words = result.stderr.decode("utf-8", "replace")
    if result.code == 127 or "bwrap:" in words or "No module named pytest" in words:
        raise HostNotReady(
            f"Check files cannot be run on this host: {result.last_words}.", hint="apt-get install bubblewrap util-linux python3-pytest"
        )


def _ended(result: Result, seconds: float, cancelled: bool) -> str:
    """Empty when pytest came to its own end: 0 and 1 (some failed), 2 (a file cannot be loaded), 5 (nothing to do)."""
    if cancelled:
        return "it was called off"
    if result.timed_out:
        return f"the time ({seconds:.0f} s) was over"
    if result.code in (0, 1, 2, 5):
        return ""
    number = -result.code if result.code < 0 else result.code - 128
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return "the process used more than it may"
    return f"the process ended with code {result.code}"
