# SPDX-License-Identifier: MIT
"""What a driver is told about one start (contracts.hypervisor.LaunchSpec), and the port of a seat. Only values are put together here."""

from __future__ import annotations

from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer, Drive, LaunchSpec, NetworkPort, SpiceDisplay
from labvirt.contracts.network import GuestPort
from labvirt.domain import placement
from labvirt.domain.drives import PlacedDrive, placed_drives
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import Guest, Purpose, RunId
from labvirt.domain.image import chain_of
from labvirt.domain.lab import Lab, SeatIdentity
from labvirt.domain.living import has_cap
from labvirt.domain.profile import Profile, Protocol
from labvirt.engine.homes import has_login, told_of
from labvirt.engine.recording import guest_uid, hands_sticks_over
from labvirt.engine.world import World
from labvirt.errors import Conflict, NotFound

Chains = dict[int, tuple[DiskLayer, ...]]
"""Number of the disk in the profile -> its files, the overlay first."""


def port_for(world: World, lab: Lab, seat: int) -> GuestPort:
    """The port of this seat: the same at its start and whenever its filters are set again."""
    identity = lab.identity(seat)
    uid = guest_uid(world, lab, seat)
    return GuestPort(
        tap=identity.tap,
        bridge=lab.bridge,
        mac=identity.mac,
        address=identity.address,
        owner_uid=world.own_uid if uid is None else uid,
    )


def spice_of(profile: Profile, lab: Lab, identity: SeatIdentity, folder: Path, *, usb: bool) -> SpiceDisplay | None:
    """The display of a profile that has one; its certificate will be in the folder. `usb`: what counts for the seat's terminal."""
    if profile.protocol is not Protocol.SPICE:
        return None
    return SpiceDisplay(address=lab.network.gateway, tls_port=identity.display_port, tls=folder / "tls", usb=usb)


def spec_of(
    guest: Guest,
    run: RunId,
    profile: Profile,
    identity: SeatIdentity,
    *,
    folder: Path,
    chains: Chains,
    spice: SpiceDisplay | None,
    uid: int | None,
    told: tuple[tuple[str, str], ...] = (),
    home_login: bool = False,
) -> LaunchSpec:
    """Raises Conflict when the guest has a disc and its machine no place for a CD-ROM drive."""
    drives = tuple(
        Drive(bus=drive.bus, index=drive.index, cdrom=drive.cdrom, chain=_chain(drive, chains))
        for drive in placed_drives(profile, guest.cdrom)
    )
    cap = profile.overlay_cap_mib if has_cap(guest) else None
    return LaunchSpec(
        run=run,
        folder=folder,
        uuid=identity.uuid,
        serial=identity.serial,
        memory_mib=profile.memory_mib,
        cpus=profile.cpus,
        firmware=profile.firmware,
        machine=profile.machine,
        clock=profile.clock,
        drives=drives,
        port=None if guest.purpose is Purpose.TEMPLATE else NetworkPort(tap=identity.tap, mac=identity.mac, model=profile.nic),
        spice=spice,
        video=profile.video,
        sound=profile.sound,
        boot_cdrom=guest.boot_cdrom,
        uid=uid,
        overlay_cap_bytes=None if cap is None else cap << 20,
        hyperv=profile.hyperv,
        tpm=profile.tpm,
        extra=profile.extra,
        told=told,
        home_login=home_login,
        on_trial=guest.purpose is Purpose.CANARY,
    )


def _chain(drive: PlacedDrive, chains: Chains) -> tuple[DiskLayer, ...]:
    if drive.disc:
        return (DiskLayer(path=Path(drive.disc), format="raw"),)
    return chains.get(drive.place, ()) if drive.place is not None else ()


def preview(world: World, profile_name: str, lab_name: str, seat: int) -> LaunchSpec:
    """The next start of this seat, if it were of this profile: nothing is made, and what a run would make is named as it would be.
    Raises NotFound, Conflict (an image has no version), Exhausted (no such seat), ImageDamaged, DatabaseError."""
    with world.database.read() as work:
        profile, lab = work.profiles.get(profile_name), work.labs.get(lab_name)
        if profile is None:
            raise NotFound("profile", profile_name)
        if lab is None:
            raise NotFound("lab", lab_name)
        identity = lab.identity(seat)
        old = work.guests.get(identity.guest)
        terminal = work.terminals.at_seat(lab.name, seat)
        usb = hands_sticks_over(work, terminal)
        choices = placement.disks_of(profile, {image.name: image for image in work.images.list()})
        if isinstance(choices, str):
            raise Conflict(f"{profile.name} could not be started: {choices}.", hint="labvirt image list")
        chains = {}
        for choice in choices:
            versions = work.images.versions(choice.image)
            version = next((each for each in versions if each.number == choice.version), None)
            if version is None:
                raise NotFound("version", f"{choice.image}:{choice.version}")
            chains[choice.place] = chain_of(version, versions)
    guest = first_guest(lab, seat, world.clock.now())
    run = RunId(guest.name, old.generation + 1 if old else 1)
    folder = world.runs / str(run)
    layers = {
        place: (
            DiskLayer(path=folder / f"overlay-{place}.qcow2", format="qcow2"),
            *(DiskLayer(path=world.images / version.file, format=version.format) for version in chain),
        )
        for place, chain in chains.items()
    }
    spice = spice_of(profile, lab, identity, folder, usb=usb)
    told = told_of(guest, profile, lab, identity, terminal.name if terminal else None)
    return spec_of(
        *(guest, run, profile, identity),
        folder=folder,
        chains=layers,
        spice=spice,
        uid=guest_uid(world, lab, seat),
        told=told,
        home_login=has_login(world, profile, told),
    )
