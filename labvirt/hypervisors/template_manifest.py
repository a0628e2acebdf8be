# SPDX-License-Identifier: MIT
"""The manifest of a template: what it is, what it was made from, and size and SHA-256 of each of its files. Text in and out, no files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from labvirt.domain.image import DiskChoice
from labvirt.domain.template import Ground, MadeFrom, Template, TemplateName
from labvirt.errors import InvalidInput, TemplateUnfit

FORMAT = 1
RAM = "ram"
STATE = "state"


def disk_name(number: int) -> str:
    """The file of the template's writable drive of this number."""
    return f"disk-{number}.qcow2"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSum:
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    template: Template
    files: dict[str, FileSum]

    @property
    def disks(self) -> tuple[str, ...]:
        """Names of the files of its drives, in their order."""
        return tuple(name for number in range(len(self.files)) if (name := disk_name(number)) in self.files)

    def render(self) -> str:
        """With a sum over itself: a manifest that was changed is no manifest."""
        made = self.template.made_from
        body = {
            "format": FORMAT,
            "name": str(self.template.name),
            "made_at": self.template.made_at.isoformat(),
            "ground": asdict(made.ground),
            "machine": made.machine,
            "disks": [asdict(disk) for disk in made.disks],
            "files": {name: asdict(each) for name, each in sorted(self.files.items())},
        }
        return json.dumps({**body, "sha256": _sum(body)}, indent=1) + "\n"


def parse(text: bytes, name: TemplateName) -> Manifest:
    """Raises TemplateUnfit when it is not a whole manifest of this template."""
    try:
        found: dict[str, Any] = json.loads(text)
        told = found.pop("sha256")
        if found["format"] != FORMAT:
            raise TemplateUnfit(str(name), "its manifest is of another LabVirt")
        if told != _sum(found) or found["name"] != str(name):
            raise TemplateUnfit(str(name), "its manifest is not what it was")
        made_from = MadeFrom(
            disks=tuple(DiskChoice(**disk) for disk in found["disks"]), machine=found["machine"], ground=Ground(**found["ground"])
        )
        template = Template(name=name, made_from=made_from, made_at=datetime.fromisoformat(found["made_at"]))
        return Manifest(template=template, files={file: FileSum(**each) for file, each in found["files"].items()})
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as error:
        raise TemplateUnfit(str(name), "its manifest cannot be read") from error


def _sum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
