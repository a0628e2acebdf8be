# SPDX-License-Identifier: MIT
"""A profile: what a guest is made of. It holds wishes in the lab's words; how they become a command line is the driver's work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from labvirt.domain.extra_arguments import check_extra
from labvirt.domain.home import check_home
from labvirt.domain.names import check_name
from labvirt.errors import InvalidInput


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


class Machine(StrEnum):
    """QEMU machine types under its security policy (docs/system/security.rst lists pc and q35)."""

    Q35 = "q35"
    PC = "pc"


class Clock(StrEnum):
    UTC = "utc"
    LOCALTIME = "localtime"


class Bus(StrEnum):
    IDE = "ide"
    SATA = "sata"
    SCSI = "scsi"
    VIRTIO = "virtio"


class Nic(StrEnum):
    VIRTIO = "virtio"
    E1000 = "e1000"
    RTL8139 = "rtl8139"


class Sound(StrEnum):
    NONE = "none"
    HDA = "hda"
    AC97 = "ac97"


class Video(StrEnum):
    STD = "std"
    VIRTIO = "virtio"
    QXL = "qxl"


class Protocol(StrEnum):
    RDP = "rdp"
    SPICE = "spice"


class Mode(StrEnum):
    SNAPSHOT = "snapshot"
    """Every start begins from the version; what the guest writes is forgotten."""
    ADMINISTRATIVE = "administrative"
    """Writes go to a draft that may be published (admin sessions)."""


class SessionPolicy(StrEnum):
    """What an admin session does with clients that run from its image (S2-12)."""

    REFUSE = "refuse"
    """It does not begin while clients run; none starts while it is open."""
    DRAIN = "drain"
    """Clients are told, get `drain_seconds`, and are stopped; none starts while it is open."""
    ALONGSIDE = "alongside"
    """Clients finish on their version and start from the published one meanwhile: the class does not notice."""


PLACES = {Bus.IDE: 4, Bus.SATA: 6, Bus.SCSI: 8, Bus.VIRTIO: 8}
"""Disks per bus: IDE has 2 channels of 2, the ICH9 AHCI of q35 has 6 ports; the other two are our own bound."""


class SlotKind(StrEnum):
    DISK = "disk"
    CDROM = "cdrom"
    EMPTY = "empty"
    """Takes a place of the bus and holds nothing (the 'dummy disk' of S2-21, without the dummy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place in the ordered list of drives. A disk names an image and follows its published pointer, or pins `version`."""

    kind: SlotKind
    bus: Bus
    image: str | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        if self.kind is SlotKind.DISK and self.image is None:
            raise InvalidInput("disks", "a disk needs an image")
        if self.kind is not SlotKind.DISK and (self.image is not None or self.version is not None):
            raise InvalidInput("disks", f"a place of kind {self.kind} has no image")
        if self.image is not None:
            check_name(self.image, "disks.image")
        if self.version is not None and self.version < 1:
            raise InvalidInput("disks.version", "must be 1 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSlot:
    """A slot with its place on its bus: places fill in order, the first disk is the one that boots."""

    slot: Slot
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`labs` is the affinity: where the profile may be used (empty: everywhere). The lowest `position` wins."""

    name: str
    memory_mib: int
    cpus: int = 1
    firmware: Firmware = Firmware.BIOS
    machine: Machine = Machine.Q35
    clock: Clock = Clock.UTC
    slots: tuple[Slot, ...] = ()
    nic: Nic = Nic.VIRTIO
    sound: Sound = Sound.NONE
    video: Video = Video.STD
    protocol: Protocol = Protocol.SPICE
    mode: Mode = Mode.SNAPSHOT
    position: int = 100
    labs: frozenset[str] = frozenset()
    active: bool = True
    user: str | None = None
    """Name of the guest's account for RDP, whose password is minted for each ticket. None: the guest asks who is there by itself."""
    ready_port: int | None = None
    """TCP port whose answering means 'ready'; None: running is ready (SPICE shows the boot)."""
    note: str = ""
    lab_positions: tuple[tuple[str, int], ...] = ()
    """(lab, position) where a lab tries it at another place than `position`; by name."""
    max_guests: int | None = None
    """No more guests of it at once, in all labs together; the next profile is tried then."""
    start_guests: int = 0
    """So many seats of each lab that would get it are started with the host, before anybody asks."""
    restart_days: int | None = None
    """A guest that has run for so long and has no viewer gets a fresh run (S2-32)."""
    session_policy: SessionPolicy = SessionPolicy.REFUSE
    drain_seconds: int = 300
    overlay_cap_mib: int | None = None
    """A guest that has written more is paused and told, instead of filling the host."""
    hyperv: bool = False
    """Hyper-V enlightenments: Windows runs smoother, and some of its clocks only then."""
    tpm: bool = False
    """A TPM 2.0 of its own (Windows 11). Its state begins as the version's and ends with the overlay."""
    extra: tuple[str, ...] = ()
    """More QEMU arguments, one OPTION=VALUE each; domain.extra_arguments says which are allowed."""
    checks: tuple[str, ...] = ()
    """Names of the profile's own check files: what a canary must pass (contracts.checks)."""
    home: str | None = None
    """Folder of a file server that is the person's home, per seat (domain.home). None: what is written is forgotten."""
    instant_clone: bool = False
    """Its guests start as instant clones of a template (domain.template) where there is one: they share its memory until they write."""

    def _check_instant_clone(self) -> None:
        """What a frozen guest remembers must suit every seat."""
        obstacles = {
            "of UEFI: its variables are one machine's own": self.firmware is Firmware.UEFI,
            "of the TPM: two guests would have the same secrets": self.tpm,
            "of the home: every seat would remember the template's": self.home is not None,
        }
        for why, is_there in obstacles.items():
            if self.instant_clone and is_there:
                raise InvalidInput("instant_clone", f"cannot be, because {why}", hint="Without instant clones its guests boot as ever.")

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        for lab, position in self.lab_positions:
            check_name(lab, "lab_positions")
            if not 0 <= position <= 9999:
                raise InvalidInput("lab_positions", "must be 0 to 9999")
        if len({lab for lab, _ in self.lab_positions}) != len(self.lab_positions):
            raise InvalidInput("lab_positions", "names a lab twice")
        if self.max_guests is not None and not 1 <= self.max_guests <= 65536:
            raise InvalidInput("max_guests", "must be 1 to 65536")
        if not 0 <= self.start_guests <= 4096:
            raise InvalidInput("start_guests", "must be 0 to 4096")
        if self.restart_days is not None and not 1 <= self.restart_days <= 3650:
            raise InvalidInput("restart_days", "must be 1 to 3650")
        if not 0 <= self.drain_seconds <= 86400:
            raise InvalidInput("drain_seconds", "must be 0 to 86400 (a day)")
        if self.overlay_cap_mib is not None and not 16 <= self.overlay_cap_mib <= 1 << 24:
            raise InvalidInput("overlay_cap_mib", "must be 16 to 16777216 MiB")
        if self.tpm and self.firmware is not Firmware.UEFI:
            raise InvalidInput("tpm", "needs the firmware uefi", hint="Windows 11 needs both: --firmware uefi --tpm")
        check_extra(self.extra)
        self._check_instant_clone()
        if not 16 <= self.memory_mib <= 1 << 20:
            raise InvalidInput("memory_mib", "must be 16 to 1048576 MiB")
        if not 1 <= self.cpus <= 64:
            raise InvalidInput("cpus", "must be 1 to 64")
        if not 0 <= self.position <= 9999:
            raise InvalidInput("position", "must be 0 to 9999")
        if self.ready_port is not None and not 1 <= self.ready_port <= 65535:
            raise InvalidInput("ready_port", "must be 1 to 65535")
        if self.user is not None and (not 1 <= len(self.user) <= 64 or not self.user.isprintable()):
            raise InvalidInput("user", "must be 1 to 64 printable characters")
        if self.home is not None:
            check_home(self.home, self.user)
        for lab in self.labs:
            check_name(lab, "labs")
        if not any(slot.kind is SlotKind.DISK for slot in self.slots):
            raise InvalidInput("disks", "a profile needs at least one disk", hint="labvirt profile set NAME --disk IMAGE:virtio")
        if self.machine is Machine.Q35 and any(slot.bus is Bus.IDE for slot in self.slots):
            raise InvalidInput("disks", "the machine q35 has no IDE bus", hint="Use the machine pc, or the bus sata.")
        self.placed()

    def placed(self) -> tuple[PlacedSlot, ...]:
        """The slots with their places, filled in order bus by bus. Raises InvalidInput when a bus is full."""
        used: dict[Bus, int] = {}
        placed = []
        for slot in self.slots:
            index = used.get(slot.bus, 0)
            if index >= PLACES[slot.bus]:
                raise InvalidInput("disks", f"the bus {slot.bus} has only {PLACES[slot.bus]} places")
            used[slot.bus] = index + 1
            placed.append(PlacedSlot(slot=slot, index=index))
        return tuple(placed)

    @property
    def needs_ticket(self) -> bool:
        """Does its viewer get a secret by ticket? SPICE always; RDP where the profile names the guest's account: its password is minted."""
        return self.protocol is Protocol.SPICE or self.user is not None

    def position_in(self, lab: str) -> int:
        """At which place this lab tries it."""
        return dict(self.lab_positions).get(lab, self.position)

    def fits(self, lab: str) -> bool:
        """May this profile be used in that lab?"""
        return self.active and (not self.labs or lab in self.labs)
