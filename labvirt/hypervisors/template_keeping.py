# SPDX-License-Identifier: MIT
"""The templates of one host as every driver keeps them: the shelf, and what is held in memory of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.guest import StopHow
from labvirt.domain.template import Template, TemplateName
from labvirt.errors import DriverError, TemplateUnfit
from labvirt.hypervisors.template_manifest import RAM, STATE, Manifest, disk_name
from labvirt.hypervisors.template_memory import TemplateMemory
from labvirt.hypervisors.template_shelf import Shelf

log = logging.getLogger(__name__)


class Keeping:
    """From any thread; nothing is opened before it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.shelf = Shelf(folder)
        self._memory = TemplateMemory(self.shelf)

    @contextmanager
    def opened(self, name: TemplateName) -> Iterator[tuple[Manifest, int, int]]:
        """Its manifest, and descriptors of RAM and state; every byte was compared. Raises TemplateUnfit."""
        manifest, ram, state = self._memory.open(name)
        try:
            yield manifest, ram, state
        finally:
            os.close(ram)
            os.close(state)

    def freeze(
        self, template: Template, *, frozen: Callable[[int], None], end: Callable[[StopHow], None], ram: Path, disks: Sequence[Path]
    ) -> KeptTemplate:
        """What every real machine is kept by: `frozen` writes the state of its devices into a descriptor, `end` ends it, and then its RAM
        and its drives' files are copied. After a failure it has ended too, and nothing is kept. Raises what contracts.templates says."""
        with self.shelf.making(template) as stage:
            try:
                state = stage.create(STATE)
                try:
                    frozen(state)
                finally:
                    os.close(state)
                end(StopHow.STOP)
            except BaseException:
                with suppress(DriverError):  # what has failed first is told
                    end(StopHow.KILL)
                raise
            stage.add(STATE)
            stage.copy(ram, RAM)
            for number, file in enumerate(disks):
                stage.copy(file, disk_name(number))
        return self.of(template.name)

    def of(self, name: TemplateName) -> KeptTemplate:
        """Raises TemplateUnfit."""
        manifest = self.shelf.manifest(name)
        place = self.shelf.place(name)
        return KeptTemplate(
            template=manifest.template,
            disks=tuple(DiskLayer(path=place / file, format="qcow2") for file in manifest.disks),
            disk_bytes=self.shelf.disk_bytes(name),
            memory_bytes=self._memory.held_bytes(name),
        )

    def all(self) -> tuple[KeptTemplate, ...]:
        """Those that have a manifest; the others serve nobody. Raises DriverError."""
        found = []
        for name in self.shelf.names():
            try:
                found.append(self.of(name))
            except (TemplateUnfit, FileNotFoundError) as error:  # removed meanwhile, or damaged: `clone` says it again to who wants it
                log.warning("%s", error)
        return tuple(found)

    def damaged(self) -> tuple[TemplateName, ...]:
        """See contracts.templates."""
        return tuple(name for name in self.shelf.names() if self.shelf.is_damaged(name))

    def remove(self, name: TemplateName) -> None:
        self._memory.forget(name)
        self.shelf.remove(name)

    def close(self) -> None:
        self._memory.close()
