# SPDX-License-Identifier: MIT
"""Templates of the fake hypervisor: real files on a real shelf with a pretended memory in them, and clones that are pretended like all."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from labvirt.contracts.hypervisor import LaunchSpec, RunStatus
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.guest import RunId
from labvirt.domain.image import DiskChoice
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.errors import Conflict, HypervisorError, NotFound
from labvirt.hypervisors.fake_memory import Run
from labvirt.hypervisors.qemu import shape
from labvirt.hypervisors.template_fit import check_fits, check_freezable, not_prepared
from labvirt.hypervisors.template_keeping import Keeping
from labvirt.hypervisors.template_manifest import RAM, STATE, disk_name


class _Runs(Protocol):
    """What the fake lets its templates do."""

    def _begin(self, spec: LaunchSpec, *, machine: str = "", template: str = "") -> RunStatus: ...

    def _run(self, name: str) -> Run | None: ...

    def _froze(self, run: RunId) -> None: ...


class FakeTemplates:
    """Keeps contracts.templates.Templates."""

    def __init__(self, runs: _Runs, folder: Path, *, now: Callable[[], datetime]) -> None:
        self._runs = runs
        self._now = now
        self._keeping = Keeping(folder)
        self._waiting: dict[RunId, tuple[LaunchSpec, TemplateName]] = {}

    def ground(self) -> Ground:
        return Ground(hypervisor="fake 1", accelerator="fake")

    def machine(self, spec: LaunchSpec) -> str:
        return shape.digest(spec, accelerator="tcg")

    def prepare(self, spec: LaunchSpec) -> RunStatus:
        check_freezable(spec, "fake")
        return self._runs._begin(spec, machine=self.machine(spec))

    def freeze(self, run: RunId, name: TemplateName, disks: tuple[DiskChoice, ...]) -> KeptTemplate:
        known = self._runs._run(str(run))
        if known is None:
            raise HypervisorError(f"{run.guest} does not run.", subject=run.guest, hint="Start it first.")
        if not known.machine:
            raise not_prepared(run)
        made_from = MadeFrom(disks=disks, machine=known.machine, ground=self.ground())
        with self._keeping.shelf.making(Template(name=name, made_from=made_from, made_at=self._now())) as stage:
            self._runs._froze(run)
            for file, size in ((RAM, known.memory_mib << 20), (STATE, 64)):
                descriptor = stage.create(file)
                try:
                    os.write(descriptor, f"pretended {file} of {run}\n".encode())
                    os.ftruncate(descriptor, size)
                finally:
                    os.close(descriptor)
                stage.add(file)
            for number, overlay in enumerate(known.overlays):
                stage.copy(Path(overlay), disk_name(number))
        return self._keeping.of(name)

    def kept(self) -> tuple[KeptTemplate, ...]:
        return self._keeping.all()

    def damaged(self) -> tuple[TemplateName, ...]:
        return self._keeping.damaged()

    def clone(self, spec: LaunchSpec, name: TemplateName) -> RunStatus:
        if self._runs._run(str(spec.run)) is None:
            self._check(spec, name)
        return self._runs._begin(spec, template=str(name))

    def preload(self, spec: LaunchSpec, name: TemplateName, *, loaded: bool) -> None:
        if spec.run in self._waiting or self._runs._run(str(spec.run)) is not None:
            raise Conflict(f"{spec.run} lives already.")
        self._check(spec, name)
        self._waiting[spec.run] = (spec, name)

    def wake(self, spec: LaunchSpec) -> RunStatus:
        waited, name = self._waiting.pop(spec.run, (None, None))
        if waited != spec or name is None:
            raise NotFound("waiting clone", str(spec.run))
        return self._runs._begin(spec, template=str(name))

    def waiting(self) -> tuple[RunId, ...]:
        return tuple(sorted(self._waiting))

    def drop(self, run: RunId) -> None:
        self._waiting.pop(run, None)

    def _check(self, spec: LaunchSpec, name: TemplateName) -> None:
        """Raises TemplateUnfit."""
        with self._keeping.opened(name) as (manifest, _, _):
            place = self._keeping.shelf.place(name)
            check_fits(spec, manifest, place=place, ground=self.ground(), machine=self.machine(spec))

    def remove(self, name: TemplateName) -> None:
        self._keeping.remove(name)

    def close(self) -> None:
        self._keeping.close()
