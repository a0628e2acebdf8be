# SPDX-License-Identifier: MIT
"""The manifest beside a version's file: what the file is, so that it can be proven without the database."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from labvirt.errors import ImageDamaged

FILE_NAME = "manifest.json"
LARGEST = 65536
"""Bytes. Nobody's manifest is larger."""
_SCHEMA = 2
_SHA256 = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`head_sha256` covers the first HEAD_BYTES (qcow2_header.py): it makes the cheap check notice a changed header. `backing` is the
    name in the header of a layer; `companions` is name -> sha256. `origin` says of what it was sealed, so that it is not made twice:
    qemu-img writes the same content in another order each time."""

    image: str
    number: int
    format: str
    size_bytes: int
    virtual_bytes: int
    sha256: str
    head_sha256: str
    backing: str | None = None
    companions: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None


def render(manifest: Manifest) -> str:
    return json.dumps({"schema": _SCHEMA, **asdict(manifest)}, indent=2, sort_keys=True) + "\n"


def parse(text: bytes | str) -> Manifest:
    """Raises ImageDamaged for anything that `render` did not make (schema 1 had no layers and no companions)."""
    try:
        found = json.loads(text)
        schema = found.pop("schema")
        if schema not in (1, _SCHEMA) or (schema == 1 and {"backing", "companions", "origin"} & found.keys()):
            raise ValueError("another schema")
        manifest = Manifest(**found)
        for name, kind in (("image", str), ("number", int), ("format", str), ("size_bytes", int), ("virtual_bytes", int)):
            if type(getattr(manifest, name)) is not kind:
                raise ValueError(name)
        companions = dict(manifest.companions)
        for digest in (manifest.sha256, manifest.head_sha256, *companions.values()):
            if not _SHA256.match(digest):
                raise ValueError("not a checksum")
        if any(each is not None and type(each) is not str for each in (manifest.backing, manifest.origin)):
            raise ValueError("backing, origin")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ImageDamaged("The manifest is not one.", operation="read the manifest", hint="Choose another version.") from error
    return manifest
