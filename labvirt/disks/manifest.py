# SPDX-License-Identifier: MIT
"""The manifest beside a version's file: what the file is, so that it can be proven without the database."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from labvirt.errors import ImageDamaged

FILE_NAME = "manifest.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`head_sha256` covers the first HEAD_BYTES (qcow2_header.py): it makes the cheap check notice a changed header."""

    image: str
    number: int
    format: str
    size_bytes: int
    virtual_bytes: int
    sha256: str
    head_sha256: str


def render(manifest: Manifest) -> str:
    return json.dumps({"schema": _SCHEMA, **asdict(manifest)}, indent=2, sort_keys=True) + "\n"


def parse(text: bytes | str) -> Manifest:
    """Raises ImageDamaged for anything that `render` did not make."""
    try:
        found = json.loads(text)
        if found.pop("schema") != _SCHEMA:
            raise ValueError("another schema")
        manifest = Manifest(**found)
        for field, kind in Manifest.__annotations__.items():
            if type(getattr(manifest, field)).__name__ != kind:
                raise ValueError(field)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ImageDamaged("The manifest is not one.", operation="read the manifest", hint="Choose another version.") from error
    return manifest
