# SPDX-License-Identifier: MIT
"""A second, independent reader of foreign files: the format inspector of OpenStack's oslo.utils. It must say the same as inspection.py.

Two readers by different people seldom have the same hole (CVE-2024-32498 was one reader's). What it recognises as a partition table
(MBR, GPT) or as a CD is plain data to us, so a raw disk may be that and nothing else.
"""

from __future__ import annotations

import io
import logging
import os

from oslo_utils.imageutils import format_inspector

from labvirt.disks.inspection import Facts
from labvirt.errors import InvalidInput

# It warns about every hostile file in words of its own; whoever asked is told by the exception.
logging.getLogger("oslo_utils.imageutils").setLevel(logging.CRITICAL)

_HEAD = 2 << 20
"""Bytes: VHDX has its tables in the first MiB, VMDK its descriptor."""
_PLAIN = frozenset({"raw", "gpt", "iso"})
_UNKNOWN_TO_IT = 0x10
"""Incompatible feature bit 4, extended L2 entries: QEMU and inspection.py know it, oslo.utils up to 10 takes it for unknown."""
_HINT = "Take another copy of it, or convert it where it was made: qemu-img convert -f ITS-FORMAT -O qcow2 OLD NEW."


def agree(descriptor: int, facts: Facts, *, name: str) -> None:
    """The second reader finds the format and size that inspection.py found, and nothing unsafe.

    Raises InvalidInput (names `name` and what was found), OSError.
    """
    data = os.pread(descriptor, _HEAD, 0)
    found = _recognised(data)
    if facts.format == "raw":
        strange = sorted(set(found) - _PLAIN)
        if strange:
            raise InvalidInput("format", f"{name} is named raw, but a second reader takes it for {' and '.join(strange)}", hint=_HINT)
        return
    if set(found) != {facts.format}:
        shown = " and ".join(sorted(found)) or "nothing it knows"
        raise InvalidInput("format", f"{name} is named {facts.format}, but a second reader takes it for {shown}", hint=_HINT)
    reader = found[facts.format]
    if reader.virtual_size != facts.virtual_bytes:
        raise InvalidInput("source", f"two readers do not agree how large the disk in {name} is", hint=_HINT)
    why = _unsafe(reader, data)
    if why:
        raise InvalidInput("source", f"a second reader does not accept {name} ({why})", hint=_HINT)


def _recognised(data: bytes) -> dict[str, format_inspector.FileInspector]:
    wrapper = format_inspector.InspectWrapper(io.BytesIO(data))
    try:
        while wrapper.read(65536):
            pass
        wrapper.close()  # what is still incomplete now does not match
        return {str(each): each for each in wrapper.formats or ()}
    except format_inspector.ImageFormatError as error:
        raise InvalidInput("format", f"a second reader cannot make sense of it ({error})", hint=_HINT) from error


def _unsafe(reader: format_inspector.FileInspector, data: bytes) -> str:
    try:
        reader.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        failed = set(error.failures)
        if int.from_bytes(data[72:80], "big") & ~0xF == _UNKNOWN_TO_IT:
            failed.discard("unknown_features")
        return ", ".join(sorted(each.replace("_", " ") for each in failed))
    except format_inspector.ImageFormatError as error:
        return str(error)
    return ""
