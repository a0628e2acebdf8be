# SPDX-License-Identifier: MIT
"""QemuTemplates keeps contracts.templates.Templates. Each method is the list of its steps; how a machine is started stays in driver.py.

1. A machine that can be frozen has its RAM in a file of its folder (share=on), a free port for a network card, and no card.
2. Frozen: stopped, its device state written through a descriptor (x-ignore-shared: RAM is in its file), quit; then its files are copied.
3. A clone has the same command line with the RAM mapped privately, waits for the state, and is woken by waking.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from labvirt.contracts.hypervisor import LaunchSpec, RunStatus
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.guest import RunId, StopHow
from labvirt.domain.image import DiskChoice
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.errors import HypervisorError
from labvirt.hypervisors.qemu import layout, record, shape
from labvirt.hypervisors.qemu.session import Session
from labvirt.hypervisors.qemu.sleepers import Sleepers
from labvirt.hypervisors.qemu.waking import Fork
from labvirt.hypervisors.template_fit import check_fits, check_freezable, not_prepared
from labvirt.hypervisors.template_keeping import Keeping
from labvirt.system.machine import cpu_model, kernel_release


class _Machines(Protocol):
    """What the driver lets its templates do."""

    @property
    def sleepers(self) -> Sleepers: ...

    def _begin(self, spec: LaunchSpec, *, machine: str = "", fork: Fork | None = None) -> RunStatus: ...

    def _hatch(self, spec: LaunchSpec, fork: Fork, *, loaded: bool) -> None: ...

    def _wake(self, spec: LaunchSpec) -> RunStatus: ...

    def _living(self, run: RunId) -> Session | None: ...

    def _freeze(self, session: Session, state: int) -> None: ...

    def stop(self, run: RunId, how: StopHow) -> None: ...


class QemuTemplates:
    """Templates in `folder`; runs in `runs`. `about` gives QEMU's version and the accelerator."""

    def __init__(self, machines: _Machines, *, folder: Path, runs: Path, about: Callable[[], tuple[str, str]]) -> None:
        self._machines = machines
        self._runs = runs
        self._about = about
        self._keeping = Keeping(folder)

    def ground(self) -> Ground:
        version, accelerator = self._about()
        processor = f"{cpu_model()}, Linux {kernel_release()}" if accelerator == "kvm" else ""
        return Ground(hypervisor=f"qemu {version}", accelerator=accelerator, processor=processor)

    def machine(self, spec: LaunchSpec) -> str:
        return shape.digest(spec, accelerator=self._about()[1])

    def prepare(self, spec: LaunchSpec) -> RunStatus:
        check_freezable(spec, "qemu")
        return self._machines._begin(spec, machine=self.machine(spec))

    def freeze(self, run: RunId, name: TemplateName, disks: tuple[DiskChoice, ...]) -> KeptTemplate:
        session = self._machines._living(run)
        if session is None:
            raise HypervisorError(f"{run.guest} does not run.", subject=run.guest, hint="Start it first.")
        folder = self._runs / str(run)
        launched = record.read(folder)
        if launched is None or not launched.machine:
            raise not_prepared(run)
        made_from = MadeFrom(disks=disks, machine=launched.machine, ground=self.ground())
        return self._keeping.freeze(
            Template(name=name, made_from=made_from, made_at=datetime.now(UTC)),
            frozen=partial(self._machines._freeze, session),
            end=partial(self._machines.stop, run),
            ram=folder / layout.RAM,
            disks=[folder / overlay for _, overlay in launched.overlays],
        )

    def kept(self) -> tuple[KeptTemplate, ...]:
        return self._keeping.all()

    def damaged(self) -> tuple[TemplateName, ...]:
        return self._keeping.damaged()

    def clone(self, spec: LaunchSpec, name: TemplateName) -> RunStatus:
        if self._machines._living(spec.run) is not None:
            return self._machines._begin(spec)
        with self._fork(spec, name) as fork:
            return self._machines._begin(spec, fork=fork)

    def preload(self, spec: LaunchSpec, name: TemplateName, *, loaded: bool) -> None:
        with self._fork(spec, name) as fork:
            self._machines._hatch(spec, fork, loaded=loaded)

    def wake(self, spec: LaunchSpec) -> RunStatus:
        return self._machines._wake(spec)

    def waiting(self) -> tuple[RunId, ...]:
        return self._machines.sleepers.waiting()

    def drop(self, run: RunId) -> None:
        self._machines.sleepers.drop(run)

    @contextmanager
    def _fork(self, spec: LaunchSpec, name: TemplateName) -> Iterator[Fork]:
        """What a clone of it needs. Raises TemplateUnfit."""
        with self._keeping.opened(name) as (manifest, ram, state):
            check_fits(spec, manifest, place=self._keeping.shelf.place(name), ground=self.ground(), machine=self.machine(spec))
            yield Fork(template=name, ram=ram, state=state)

    def remove(self, name: TemplateName) -> None:
        self._keeping.remove(name)

    def close(self) -> None:
        self._keeping.close()
