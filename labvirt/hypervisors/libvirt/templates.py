# SPDX-License-Identifier: MIT
"""LibvirtTemplates keeps contracts.templates.Templates on the libvirt of this host. Each method is the list of its steps.

1. A machine that can be frozen has its RAM in a file of its folder (share=on), and no network card; its mark has the digest of its shape.
2. Frozen: paused, its device state written through a descriptor (x-ignore-shared: RAM is in its file), ended; then its files are copied.
3. A clone is the same domain with the RAM mapped privately. libvirt hands no descriptor to QEMU's memory, so the sealed RAM is lent to the
   guest's own user (system/lending.py) until QEMU has mapped it. waking.py wakes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from labvirt.contracts.hypervisor import Capability, LaunchSpec, RunStatus
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.image import DiskChoice
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.errors import HypervisorError, NotFound, Unsupported
from labvirt.hypervisors.libvirt import domain_xml
from labvirt.hypervisors.libvirt.memory_file import MemoryFile
from labvirt.hypervisors.libvirt.waking import Fork
from labvirt.hypervisors.qemu import shape
from labvirt.hypervisors.template_fit import check_fits, check_freezable, not_prepared
from labvirt.hypervisors.template_keeping import Keeping
from labvirt.hypervisors.template_manifest import RAM
from labvirt.system.lending import lent
from labvirt.system.machine import cpu_model, kernel_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that can be frozen. `overlays` are the files of its writable drives in their order."""

    machine: str
    folder: Path
    overlays: tuple[Path, ...]


class _Machines(Protocol):
    """What the driver lets its templates do."""

    def _begin(self, spec: LaunchSpec, *, memory: MemoryFile | None = None, machine: str = "", fork: Fork | None = None) -> RunStatus: ...

    def _lives(self, run: RunId) -> bool: ...

    def _prepared(self, run: RunId) -> Prepared | None: ...

    def _freeze(self, run: RunId, state: int) -> None: ...

    def stop(self, run: RunId, how: StopHow) -> None: ...


class LibvirtTemplates:
    """Templates in `folder`. `about` gives the versions of libvirt and QEMU and the accelerator; `processes` is where the machines of
    libvirtd see the /proc of this process."""

    def __init__(self, machines: _Machines, *, folder: Path, processes: Path, about: Callable[[], tuple[str, str, str]]) -> None:
        self._machines = machines
        self._processes = processes
        self._about = about
        self._keeping = Keeping(folder)

    def ground(self) -> Ground:
        own, qemu, accelerator = self._about()
        processor = f"{cpu_model()}, Linux {kernel_release()}" if accelerator == "kvm" else ""
        return Ground(hypervisor=f"libvirt {own} with qemu {qemu}", accelerator=accelerator, processor=processor)

    def machine(self, spec: LaunchSpec) -> str:
        memory = MemoryFile(path=Path("/nowhere/ram"), clone=True)
        xml = domain_xml.render(shape.nobody(spec), owner="", accelerator=self._about()[2], memory=memory)
        return hashlib.sha256(xml.encode()).hexdigest()

    def prepare(self, spec: LaunchSpec) -> RunStatus:
        check_freezable(spec, "libvirt")
        return self._machines._begin(spec, memory=MemoryFile(path=spec.folder / RAM, clone=False), machine=self.machine(spec))

    def freeze(self, run: RunId, name: TemplateName, disks: tuple[DiskChoice, ...]) -> KeptTemplate:
        if not self._machines._lives(run):
            raise HypervisorError(f"{run.guest} does not run.", subject=run.guest, hint="Start it first.")
        prepared = self._machines._prepared(run)
        if prepared is None:
            raise not_prepared(run)
        made_from = MadeFrom(disks=disks, machine=prepared.machine, ground=self.ground())
        return self._keeping.freeze(
            Template(name=name, made_from=made_from, made_at=datetime.now(UTC)),
            frozen=partial(self._machines._freeze, run),
            end=partial(self._machines.stop, run),
            ram=prepared.folder / RAM,
            disks=prepared.overlays,
        )

    def kept(self) -> tuple[KeptTemplate, ...]:
        return self._keeping.all()

    def damaged(self) -> tuple[TemplateName, ...]:
        return self._keeping.damaged()

    def clone(self, spec: LaunchSpec, name: TemplateName) -> RunStatus:
        if self._machines._lives(spec.run):
            return self._machines._begin(spec)
        with self._keeping.opened(name) as (manifest, ram, state):
            check_fits(spec, manifest, place=self._keeping.shelf.place(name), ground=self.ground(), machine=self.machine(spec))
            try:
                with lent(ram, spec.uid) as path:
                    memory = MemoryFile(path=self._processes / path, clone=True)
                    return self._machines._begin(spec, memory=memory, fork=Fork(template=name, state=state))
            except OSError as error:
                raise HypervisorError(
                    f"{spec.run} cannot be started: its memory cannot be lent to its user ({error.strerror or error}).",
                    operation="clone",
                    subject=str(spec.run),
                ) from error

    def preload(self, spec: LaunchSpec, name: TemplateName, *, loaded: bool) -> None:
        raise Unsupported(Capability.SPARE_CLONE, "libvirt")

    def wake(self, spec: LaunchSpec) -> RunStatus:
        raise NotFound("waiting clone", str(spec.run))

    def waiting(self) -> tuple[RunId, ...]:
        return ()

    def drop(self, run: RunId) -> None:
        return

    def remove(self, name: TemplateName) -> None:
        self._keeping.remove(name)

    def close(self) -> None:
        self._keeping.close()
