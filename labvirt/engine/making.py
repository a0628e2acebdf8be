# SPDX-License-Identifier: MIT
"""The files of one run: its folder, overlays, certificate and logins, and what a driver is told about them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from labvirt.contracts.disks import RunDisk
from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.contracts.templates import KeptTemplate
from labvirt.engine.homes import has_login, told_of
from labvirt.engine.launch import Chains, spec_of, spice_of
from labvirt.engine.recording import Recording
from labvirt.engine.templates import frozen_disks
from labvirt.engine.world import World
from labvirt.errors import HypervisorError


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What lies in the run's folder now: overlays over `disks`, and everything that `spec` names."""

    disks: tuple[RunDisk, ...]
    chains: Chains
    spec: LaunchSpec


def make_files(
    world: World, recorded: Recording, template: KeptTemplate | None, waits: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Made:
    """They exist. `waits` is around what may take long. After a failure the folder is the caller's to remove. Raises DiskError,
    ImageDamaged, Exhausted, HypervisorError, ValueError (the template has other disks)."""
    run = recorded.run
    disks = _over(recorded, template)
    with waits():
        chains = dict(world.disks.create_run(run, disks, uid=recorded.uid))
    spec = described(world, recorded, chains)
    if spec.spice is not None:
        world.authority.issue(spec.spice.tls, name=recorded.guest.name, address=spec.spice.address, uid=recorded.uid)
    if spec.home_login:
        world.homes.put(recorded.profile.name, spec.folder, recorded.uid)
    return Made(disks=disks, chains=chains, spec=spec)


def described(world: World, recorded: Recording, chains: Chains) -> LaunchSpec:
    """What a driver is told of a start with these overlays, as things are now. Raises HypervisorError (there is no folder)."""
    folder = world.disks.open_run(recorded.run)
    if folder is None:
        raise HypervisorError(f"The folder of {recorded.run} is gone.", operation="start", subject=recorded.guest.name)
    told = told_of(recorded.guest, recorded.profile, recorded.lab, recorded.identity, recorded.terminal)
    return spec_of(
        recorded.guest,
        recorded.run,
        recorded.profile,
        recorded.identity,
        folder=folder.path,
        chains=chains,
        spice=spice_of(recorded.profile, recorded.lab, recorded.identity, folder.path, usb=recorded.usb),
        uid=recorded.uid,
        told=told,
        home_login=has_login(world, recorded.profile, told),
    )


def is_still_meant(recorded: Recording, made: Made, template: KeptTemplate) -> bool:
    """Would its overlays be made over the same now?"""
    return made.disks == _over(recorded, template)


def _over(recorded: Recording, template: KeptTemplate | None) -> tuple[RunDisk, ...]:
    """What each overlay stands on; a clone's on what its template had written."""
    if template is None:
        return recorded.disks
    frozen = frozen_disks(recorded.profile, template)
    return tuple(replace(disk, template=frozen[disk.place]) for disk in recorded.disks)
