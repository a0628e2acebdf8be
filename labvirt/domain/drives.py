# SPDX-License-Identifier: MIT
"""The drives of one start: the profile's slots at their places, with a disc in the first CD-ROM drive when one is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from labvirt.domain.profile import PLACES, Bus, Machine, Profile, SlotKind
from labvirt.errors import Conflict

CD_BUSES = {Machine.Q35: (Bus.SATA, Bus.SCSI), Machine.PC: (Bus.IDE, Bus.SCSI)}
"""Where a CD-ROM drive is added: the bus that the machine has by itself, else SCSI. virtio-blk has no CD-ROM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedDrive:
    """`place` is the number of its slot in the profile (None: it was added for the disc); `disc` is the path of a disc's image."""

    place: int | None
    bus: Bus
    index: int
    cdrom: bool = False
    disc: str = ""


def placed_drives(profile: Profile, disc: str = "") -> tuple[PlacedDrive, ...]:
    """In the profile's order, an added drive last. Empty slots only take their place. Pure.

    Raises Conflict when there is a disc and no bus has a free place for it.
    """
    drives: list[PlacedDrive] = []
    for place, placed in enumerate(profile.placed()):
        if placed.slot.kind is SlotKind.EMPTY:
            continue
        cdrom = placed.slot.kind is SlotKind.CDROM
        drives.append(PlacedDrive(place=place, bus=placed.slot.bus, index=placed.index, cdrom=cdrom, disc=disc if cdrom else ""))
        if cdrom:
            disc = ""  # only the first drive gets it
    if disc:
        drives.append(_added(profile, disc))
    return tuple(drives)


def _added(profile: Profile, disc: str) -> PlacedDrive:
    for bus in CD_BUSES[profile.machine]:
        used = sum(1 for slot in profile.slots if slot.bus is bus)
        if used < PLACES[bus]:
            return PlacedDrive(place=None, bus=bus, index=used, cdrom=True, disc=disc)
    raise Conflict(
        f"The profile {profile.name} has no free place for a CD-ROM drive.",
        hint=f"Take a drive out of it: labvirt profile set {profile.name}",
    )
