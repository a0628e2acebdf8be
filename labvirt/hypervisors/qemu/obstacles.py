# SPDX-License-Identifier: MIT
"""What would keep QEMU from running a machine, said clearly before QEMU says it less clearly."""

from __future__ import annotations

from collections.abc import Callable

from labvirt.contracts.hypervisor import LaunchSpec
from labvirt.domain.profile import Firmware
from labvirt.errors import HypervisorError
from labvirt.hypervisors import media
from labvirt.hypervisors.qemu import layout, tpm


def check(spec: LaunchSpec) -> None:
    """Raises HypervisorError."""
    name = spec.run.guest

    def refused(why: str, hint: str) -> HypervisorError:
        return HypervisorError(f"{name} cannot be started: {why}.", operation="start", subject=name, hint=hint)

    for place, drive in enumerate(spec.drives):
        for layer in layout.chain(spec, place):
            if drive.cdrom:
                # Mounted into the sandbox by its own name: the folders above it do not matter.
                if obstacle := media.obstacle(layer.host, spec.uid, walks=False):
                    raise refused(obstacle, f"It is to be its CD. Let everybody read it: chmod a+r {layer.host}")
            elif not layer.host.is_file():
                hint = f"It should be {layer.host}. Choose another version of the image."
                raise refused(f"its disk file {layer.host.name} is missing", hint)
    if spec.firmware is Firmware.UEFI:
        _check_variables(spec, refused)
    if spec.tpm and not tpm.is_able():
        raise refused("there is no program here that makes a TPM", "apt-get install --no-install-recommends swtpm")


def _check_variables(spec: LaunchSpec, refused: Callable[[str, str], HypervisorError]) -> None:
    try:
        wanted = layout.UEFI_VARIABLES_TEMPLATE.stat().st_size
    except OSError:
        raise refused("the UEFI firmware is missing on this host", "apt-get install --no-install-recommends ovmf") from None
    own = spec.folder / layout.UEFI_VARIABLES
    if own.exists() and own.stat().st_size != wanted:
        why = f"its UEFI variables are a file of {own.stat().st_size} bytes, and this firmware needs {wanted}"
        raise refused(why, f"Remove it, and the machine begins with fresh ones: {own}")
