# SPDX-License-Identifier: MIT
"""The door to templates and instant clones: what only some hypervisors can do (Capability.INSTANT_CLONE).

A build is three steps of the caller: `prepare`, wait until the guest inside is ready (the caller judges), `freeze`. A clone is a run like
any other afterwards: it is stopped, adopted and told about by contracts.hypervisor. Whatever fails here, a cold start does without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from labvirt.contracts.hypervisor import DiskLayer, LaunchSpec, RunStatus
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.template import Ground, Template, TemplateName


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTemplate:
    """A whole template on this host. Its sums are compared when it is used (`Templates.clone`), not when it is listed."""

    template: Template
    disks: tuple[DiskLayer, ...]
    """What the template had written, one file for each writable drive in the order of its drives: read-only. The overlay of a clone
    stands on it, and it on what the template's drive stood on."""
    disk_bytes: int
    """What all its files occupy."""
    memory_bytes: int
    """Memory of the host that is held now for all its clones together."""


class Templates(Protocol):
    def ground(self) -> Ground:
        """What templates stand on here, now."""

    def machine(self, spec: LaunchSpec) -> str:
        """Digest of everything in `spec` that decides the devices of its machine. Specs that differ in run, folder, uuid, serial, user,
        TAP and MAC, files of the chains, address and port of the display, or in what is told have the same. Pure."""

    def prepare(self, spec: LaunchSpec) -> RunStatus:
        """Start, as Hypervisor.start does, a machine that can be frozen: without `port`, its memory in a file of its folder.

        Raises Unsupported for what cannot be cloned (a network card, a TPM, UEFI variables, a home login), else what `start` raises.
        """

    def freeze(self, run: RunId, name: TemplateName, disks: tuple[DiskChoice, ...]) -> KeptTemplate:
        """The prepared run has ended, and what it was is the template `name`: whole, on the disk, and immutable.

        After a failure, or the death of the caller, there is no template of this name and nothing of it is left, or it is whole. The run
        has ended, or is the caller's to stop (as after AlreadyExists); its folder is the caller's in any case.
        Raises AlreadyExists, Exhausted (disk), DriverTimeout, HypervisorError (also for a run that was not prepared).
        """

    def kept(self) -> tuple[KeptTemplate, ...]:
        """Every template of this state folder. What killed builds have left is gone afterwards. Raises DriverError."""

    def damaged(self) -> tuple[TemplateName, ...]:
        """Those whose manifest is lost, changed or of another LabVirt: `kept` does not tell of them, and they serve nobody, now or later.
        One that only cannot be read is not among them. Raises DriverError."""

    def clone(self, spec: LaunchSpec, name: TemplateName) -> RunStatus:
        """Start the machine where the template was frozen; blocks until it runs, with the network card of `spec` plugged in.

        Each writable drive's chain has the template's disk of that place right below its overlay. The guest has `spec`'s MAC and a vmgenid
        of its own; what it knew when it was frozen (names, keys, clock, SMBIOS) it still believes.
        After a failure no process of this run exists, and a cold start of the same run with other overlays is fine. Raises TemplateUnfit
        (missing, truncated, changed, of another hypervisor or machine: it will not get better, remove it), else what `start` raises.
        A run that runs already gives its status.
        """

    def preload(self, spec: LaunchSpec, name: TemplateName, *, loaded: bool) -> None:
        """A clone waits for `wake`: `loaded` with its template's state, standing still; else as a process that has none yet. Neither has
        its network card, whose TAP need not exist. Until it wakes it is no run: `running` does not tell of it, and when this process is
        gone the next look of any other ends it. Needs Capability.SPARE_CLONE. After a failure no process of it exists. Raises what
        `clone` raises, and Conflict when something of this run lives already."""

    def wake(self, spec: LaunchSpec) -> RunStatus:
        """The clone that waits for exactly this runs, as after `clone`. Raises NotFound when none does (one that waits for something
        else of this run has ended then), else what `clone` raises: then it has ended, too."""

    def waiting(self) -> tuple[RunId, ...]:
        """Those that wait and live."""

    def drop(self, run: RunId) -> None:
        """It waits no longer: its process has ended, its folder is the caller's. None there is fine. Raises DriverTimeout."""

    def remove(self, name: TemplateName) -> None:
        """It is gone, whole or not; running clones go on. The caller knows that no overlay that is kept stands on it. Absent is fine."""
