# SPDX-License-Identifier: MIT
"""Does this machine go with templates at all, and with this template? Judges only; every driver that can clone asks the same."""

from __future__ import annotations

from pathlib import Path

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.domain.guest import RunId
from labvirt.domain.profile import Firmware
from labvirt.domain.template import Ground, MadeFrom, stale_because
from labvirt.errors import HypervisorError, TemplateUnfit, Unsupported
from labvirt.hypervisors.template_manifest import Manifest


def check_freezable(spec: LaunchSpec, driver: str) -> None:
    """Raises Unsupported for a machine of which no two may be the same."""
    obstacles = {
        "freezing a guest that has its network card already": spec.port is not None,
        "freezing a guest with a TPM": spec.tpm,
        "freezing a guest with UEFI firmware": spec.firmware is Firmware.UEFI,
        "freezing a guest that is known to its file server": spec.home_login,
    }
    for what, is_there in obstacles.items():
        if is_there:
            raise Unsupported(what, driver)


def check_fits(spec: LaunchSpec, manifest: Manifest, *, place: Path, ground: Ground, machine: str) -> None:
    """Raises TemplateUnfit when the machine of `spec` could not wake where the template was frozen; ValueError when the caller has put its
    overlays on something else than the template in `place`."""
    template = manifest.template
    # Which versions are wanted is the caller's to know: they are compared by who chooses the template.
    wanted = MadeFrom(disks=template.made_from.disks, machine=machine, ground=ground)
    if why := stale_because(template, wanted):
        raise TemplateUnfit(str(template.name), why)
    below = [drive.chain[1].path if len(drive.chain) > 1 else None for drive in spec.drives if drive.chain and not drive.cdrom]
    if below != [place / name for name in manifest.disks]:
        raise ValueError(f"{spec.run}: its overlays do not stand on {template.name}")


def not_prepared(run: RunId) -> HypervisorError:
    """What is said of a run that nobody has prepared for it."""
    return HypervisorError(f"{run.guest} cannot be frozen: it was started as an ordinary guest.", operation="freeze", subject=run.guest)
