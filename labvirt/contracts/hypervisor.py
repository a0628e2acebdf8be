# SPDX-License-Identifier: MIT
"""The door to QEMU and libvirt. A run (domain.guest.RunId) is the only key; pids and libvirt objects stay inside the driver.

Order of a start, kept by the engine: overlays (contracts.disks), then the port (contracts.network: TAP exists, filtered, isolated,
up), then `Hypervisor.start`. Guests outlive the controller: nothing here is a child that dies with it. Instant clones have operations
of their own (contracts.templates), behind Capability.INSTANT_CLONE; a cold start never needs to know.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from labvirt.domain.addresses import InterfaceName, MacAddress
from labvirt.domain.console import ConsoleKind
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.profile import Bus, Clock, Firmware, Machine, Nic, Sound, Video

if TYPE_CHECKING:
    from labvirt.contracts.templates import Templates


class Capability(StrEnum):
    DISPLAY_SECRET = "display-secret"
    SCREENSHOT = "screenshot"
    CONSOLE = "console"
    """`open_console` gives its screen and its serial line."""
    INSTANT_CLONE = "instant-clone"
    """Guests can be frozen, and others start from there: `templates` gives the operations."""
    SPARE_CLONE = "spare-clone"
    """Clones can wait, made and not awake (contracts.templates: `preload`)."""
    AGENT = "agent"
    """The run's folder has agent.sock: the channel of the guest's agent (org.qemu.guest_agent.0)."""
    SERIAL = "serial"
    """The run's folder has serial.sock: the guest's first serial line."""
    OVERLAY_CAP = "overlay-cap"
    TPM = "tpm"
    GUEST_LOGIN = "guest-login"
    """Through the guest's agent the password of a user can be set, and a file be read (`set_login`, `read_guest_file`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HypervisorInfo:
    """`accelerator` was probed by use: 'kvm', 'tcg' or 'fake'. `notice` is a sentence for people (TCG is no security boundary)."""

    driver: str
    version: str
    accelerator: str
    capabilities: frozenset[Capability]
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLayer:
    """One file of a chain with its format, never probed."""

    path: Path
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A disk (chain[0] is the overlay, the only writable file; the rest are read-only), or a CD-ROM (chain empty: no medium; else one
    raw layer: the disc's image, anywhere on the host, read-only)."""

    bus: Bus
    index: int
    """Place on its bus, from 0. The first disk boots."""
    cdrom: bool = False
    chain: tuple[DiskLayer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPort:
    """A TAP that exists already. The driver opens it by name and passes the descriptor; it creates and changes nothing."""

    tap: InterfaceName
    mac: MacAddress
    model: Nic


@dataclass(frozen=True, slots=True, kw_only=True)
class SpiceDisplay:
    """SPICE with TLS on one address and port. The folder `tls` holds server-cert.pem, server-key.pem and ca-cert.pem. No password is set at
    the start and none is valid until `grant_display`."""

    address: IPv4Address
    tls_port: int
    tls: Path
    usb: bool = False
    """Its viewer may hand USB devices over: USB_DEVICES of them at once, of every speed."""


USB_DEVICES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """A complete wish: the driver decides nothing. VNC and QMP always exist, on Unix sockets inside `folder` only."""

    run: RunId
    folder: Path
    """The run's own folder, mode 0700; overlays are in it; the driver puts its sockets, log and launch record there."""
    uuid: uuid.UUID
    serial: str
    memory_mib: int
    cpus: int
    firmware: Firmware
    machine: Machine
    clock: Clock
    drives: tuple[Drive, ...]
    port: NetworkPort | None
    spice: SpiceDisplay | None
    video: Video
    sound: Sound
    boot_cdrom: bool = False
    uid: int | None = None
    """User the machine runs as (None: the engine's own). Overlays and `tls` already belong to it."""
    overlay_cap_bytes: int | None = None
    """The machine is paused (PAUSED, reason OVERLAY_CAP_REASON) as soon as one of its overlays grows beyond this."""
    hyperv: bool = False
    tpm: bool = False
    """A TPM 2.0 whose state is the file tpm2.state in `folder` (made when absent). Needs Capability.TPM. UEFI variables are uefi-vars.fd
    there, made from the firmware's template when absent."""
    extra: tuple[str, ...] = ()
    """Checked further arguments (domain.extra_arguments)."""
    told: tuple[tuple[str, str], ...] = ()
    """(NAME, text) that the guest reads in its firmware as opt/labvirt/NAME (QEMU's fw_cfg). Every process here may see them: no secret."""
    home_login: bool = False
    """The guest also reads the file home-login of `folder` there. It is gone from the folder when `start` returns: QEMU has read it."""
    on_trial: bool = False
    """Its checks talk to its agent (contracts.trials): the driver leaves the channel to them while it has nothing to say itself."""


HOME_LOGIN = "home-login"
"""Name in a run's folder, and in the guest's firmware: who the guest is to its file server. Mode 0600, of the user of the machine."""

OVERLAY_CAP_REASON = "it has written as much as it may"
UEFI_VARIABLES = "uefi-vars.fd"
TPM_STATE = "tpm2.state"
COMPANIONS = (UEFI_VARIABLES, TPM_STATE)
"""Files of a run's folder that belong to its machine as the disk does: a version carries them, a draft writes them."""
AGENT_SOCKET = "agent.sock"
SERIAL_SOCKET = "serial.sock"
"""Names in a run's folder; connect through labvirt.system.sockets (paths may be longer than 107 bytes)."""


class MachineState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    """Stopped by QEMU (disk full) or by us."""
    SILENT = "silent"
    """The process lives and does not answer within the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One living process that is proven to be this run (boot id, pid, start time, uuid over QMP), or that cannot be asked now (SILENT)."""

    run: RunId
    uuid: uuid.UUID | None
    """None only when SILENT."""
    state: MachineState
    reason: str = ""
    viewers: int = 0
    """Clients of SPICE now (VNC of our own thumbnails does not count)."""
    started_at: datetime | None = None
    pid: int | None = None
    """For people only (S2-36)."""
    memory_mib: int = 0


class EventKind(StrEnum):
    ENDED = "ended"
    """The process is gone; `detail` says how, when known."""
    PAUSED = "paused"
    RESUMED = "resumed"
    VIEWER_CONNECTED = "viewer-connected"
    VIEWER_LEFT = "viewer-left"
    GUEST_SHUTDOWN = "guest-shutdown"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    run: RunId
    kind: EventKind
    detail: str = ""
    peer: str = ""
    """Address of the viewer, for the viewer events."""


Listener = Callable[[RunEvent], None]
"""Called on a thread of the driver; must return at once and must not raise."""


class Hypervisor(Protocol):
    def capabilities(self) -> HypervisorInfo:
        """Called once at start. Raises HostNotReady, with the command that mends it, when no guest could be started."""

    def command_line(self, spec: LaunchSpec) -> tuple[str, ...]:
        """The exact argv (or the libvirt XML as one element) that `start` would use. Pure; holds no secret."""

    def start(self, spec: LaunchSpec) -> RunStatus:
        """Start the machine; blocks until it runs (not until the guest has booted).

        After a failure no process of this run exists. Raises HypervisorError (with QEMU's last words), DriverTimeout, ImageDamaged.
        Starting a run that runs already returns its status.
        """

    def running(self) -> tuple[RunStatus, ...]:
        """Every living run of this controller's state folder, adopted on sight (events flow afterwards). Never raises for one bad run:
        it is SILENT. Raises DriverError only when nothing can be said at all (then nobody may conclude that nothing runs)."""

    def stop(self, run: RunId, how: StopHow) -> None:
        """SHUTDOWN presses the power button and returns; STOP and KILL return when the process is gone. A run that is gone already is fine.
        Raises DriverTimeout, HypervisorError."""

    def reset(self, run: RunId) -> None:
        """The reset button (hardware reset, same run, same overlay)."""

    def pause(self, run: RunId) -> None:
        """The machine stands still (PAUSED) until `resume`. Raises HypervisorError, DriverTimeout."""

    def resume(self, run: RunId) -> None:
        """Go on after PAUSED. Raises HypervisorError if it pauses again at once."""

    def grant_display(self, run: RunId, secret: str, seconds: int) -> None:
        """From now, SPICE accepts this secret for `seconds`, and no other; an open session goes on. seconds=0 revokes.
        Needs Capability.DISPLAY_SECRET."""

    def set_login(self, run: RunId, user: str, password: str) -> None:
        """The guest's agent says that this user has this password now, and no other. Needs Capability.GUEST_LOGIN.

        The guest is not trusted: whatever it answers, this returns or raises within seconds, and other runs do not notice. Raises
        AgentSilent (nobody sensible answers), Conflict (the agent refuses), DriverError. After a failure the old or the new one counts.
        """

    def read_guest_file(self, run: RunId, path: str, most: int) -> bytes | None:
        """A file inside the guest, as its agent gives it: at most `most` bytes; None when there is none, or a longer one, or the agent may
        not read it. As little trusted, and as bounded, as `set_login`. Needs Capability.GUEST_LOGIN. Raises AgentSilent, DriverError."""

    def screenshot(self, run: RunId) -> bytes:
        """The guest's screen as PNG. Needs Capability.SCREENSHOT. Raises DriverTimeout, HypervisorError."""

    def open_console(self, run: RunId, kind: ConsoleKind) -> int:
        """The descriptor of a stream socket whose other end is the guest's screen (RFB, no password) or serial line. The caller owns it; it
        works on when this driver and its process are gone, until the run ends. Needs Capability.CONSOLE. Raises HypervisorError,
        DriverTimeout, Conflict (the serial line has one listener at a time, and has one)."""

    def templates(self) -> Templates:
        """The operations on templates and instant clones. Raises Unsupported without Capability.INSTANT_CLONE."""

    def subscribe(self, listener: Listener) -> None:
        """From now on `listener` hears every event of every run."""

    def close(self) -> None:
        """Let go of all connections; guests go on running."""
