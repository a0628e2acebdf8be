# SPDX-License-Identifier: MIT
"""The templates of one host as every driver keeps them: the shelf, and what is held in memory of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvirt.contracts.hypervisor import DiskLayer
from labvirt.contracts.templates import KeptTemplate
from labvirt.domain.template import TemplateName
from labvirt.errors import TemplateUnfit
from labvirt.hypervisors.template_manifest import Manifest
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

    def remove(self, name: TemplateName) -> None:
        self._memory.forget(name)
        self.shelf.remove(name)

    def close(self) -> None:
        self._memory.close()
