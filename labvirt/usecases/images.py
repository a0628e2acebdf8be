# SPDX-License-Identifier: MIT
"""Everything a person does with images, under one name: looking (catalogue.py), importing and blank disks (imports.py), exporting
(exports.py), the recycle bin (recycling.py), notes, and the quick check of their files.
"""

from __future__ import annotations

from dataclasses import replace

from labvirt.domain.findings import Finding
from labvirt.domain.image import Image
from labvirt.domain.names import one_line
from labvirt.domain.right import Right
from labvirt.errors import NotFound
from labvirt.usecases.catalogue import ImageView as ImageView
from labvirt.usecases.catalogue import everything as everything
from labvirt.usecases.catalogue import one as one
from labvirt.usecases.catalogue import orphans as orphans
from labvirt.usecases.exports import do_export as do_export
from labvirt.usecases.exports import export as export
from labvirt.usecases.imports import blank as blank
from labvirt.usecases.imports import do_blank as do_blank
from labvirt.usecases.imports import do_import as do_import
from labvirt.usecases.imports import import_image as import_image
from labvirt.usecases.ports import Ports
from labvirt.usecases.recycling import bin_image as bin
from labvirt.usecases.recycling import restore_image as restore
from labvirt.usecases.rights import needs

__all__ = [
    "ImageView",
    "bin",
    "blank",
    "check",
    "do_blank",
    "do_export",
    "do_import",
    "everything",
    "export",
    "import_image",
    "one",
    "orphans",
    "restore",
    "set_note",
]


@needs(Right.STORE, image="name")
def set_note(ports: Ports, name: str, note: str, *, number: int | None = None) -> Image:
    """The note of the image, or of one of its versions. Raises NotFound."""
    with ports.database.write() as work:
        image = work.images.one(name)
        if number is None:
            image = replace(image, note=one_line(note))
            work.images.update(image)
        else:
            version = work.images.version(name, number)
            if version is None:
                raise NotFound("version", f"{name}:{number}")
            work.images.update_version(replace(version, note=one_line(note)))
        work.commit()
    return image


@needs(Right.STORE, image="name")
def check(ports: Ports, name: str | None = None) -> tuple[Finding, ...]:
    """What is wrong with the files of all versions, or of one image's, without reading all data (that is scrubbing). Raises NotFound."""
    with ports.database.read() as work:
        images = work.images.list() if name is None else (work.images.one(name),)
        versions = [version for image in images for version in work.images.versions(image.name)]
    return tuple(finding for version in versions if (finding := ports.store.check(version)) is not None)
