# SPDX-License-Identifier: MIT
"""What the command line is handed by bootstrap: ways to everything it may not know itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.archive import BackupFacts
from labvirt.domain.findings import Finding
from labvirt.domain.kiosk import Kiosk
from labvirt.usecases.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """`listen`: HOST:PORT or unix:PATH each; empty: only sockets that were handed in, or the default."""

    listen: tuple[str, ...] = ()
    hypervisor: str | None = None
    accelerator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoWish:
    """What `labvirt demo` was asked for."""

    terminals: int
    check: bool
    json_path: Path | None
    pictures: Path | None
    hypervisor: str
    deadline_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """Every way takes the state folder first. Those that serve return an exit code."""

    ports: Callable[[Path], AbstractContextManager[Ports]]
    """Of a site that is set up; raises HostNotReady otherwise."""
    init: Callable[[Path, bool, str | None], str]
    """(state, again, hypervisor) -> the set-up code."""
    mac_prefix: Callable[[Path], int]
    serve: Callable[[Path, ServeOptions], int]
    engine: Callable[[Path], int]
    web: Callable[[Path], int]
    demo: Callable[[DemoWish], int]
    doctor: Callable[[Path], tuple[Finding, ...]]
    build_tiny: Callable[[], Path]
    """Build (or reuse) the tiny test guest; its disk file."""
    build_kiosk: Callable[[Path, Path | None, bool], Kiosk]
    """(state, out, refresh) -> what was built and put into the state folder; with `out`, put there instead."""
    kiosk: Callable[[Path], Kiosk]
    """What terminals get now; raises NotFound."""
    make_stick: Callable[[Path, str, Path, str], Kiosk]
    """(state, url, out, words) -> which kiosk the USB stick's image at `out` starts."""
    restore: Callable[[Path, Path, str], BackupFacts]
    """(file, into, who) -> what the backup said; the state folder `into` is made out of it."""
    host_name: str = "local"
