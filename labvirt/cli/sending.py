# SPDX-License-Identifier: MIT
"""`labvirt image import` at a controller elsewhere: the file is sent in pieces, goes on where a connection broke, and is imported when
its checksum is right."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from labvirt.cli.controller import Controller, NotReached
from labvirt.errors import InvalidInput

PIECE_BYTES = 16 << 20
TRIES = 8
"""So often in a row a broken connection is begun again before it is given up."""
PAUSE_SECONDS = 2.0
CHECKING_SECONDS = 3600.0
"""The controller reads the whole file for its checksum before it answers."""


def send(controller: Controller, params: Mapping[str, Any]) -> dict[str, Any]:
    """The job that imports the file there, as the API tells it. Raises InvalidInput (the file; --override, which uploads do not know),
    Refused, NotReached."""
    if params.get("override"):
        raise InvalidInput("override", "cannot be said to a controller elsewhere", hint="Import it, try it, then: labvirt version publish")
    file: Path = params["file"]
    try:
        with file.open("rb") as opened:
            size = file.stat().st_size
            wanted = {"name": params["name"], "format": params["format"], "size": size, "note": params.get("note") or ""}
            begun = controller.ask("POST", "/uploads", wanted | {"publish": params.get("publish") is not False})
            path = f"/uploads/{begun['id']}"
            _pieces(controller, path, opened, size)
            checksum = params.get("sha256") or _sha256(opened)
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be read: {error.strerror}") from error
    started = controller.ask("POST", f"{path}/finish", {"sha256": checksum}, patience=CHECKING_SECONDS)
    found: dict[str, Any] = controller.ask("GET", f"/api/v1/jobs/{started['job']}")
    return found


def _pieces(controller: Controller, path: str, file: BinaryIO, size: int) -> None:
    offset, failed, wait = 0, 0, threading.Event()
    while offset < size:
        file.seek(offset)
        try:
            offset, failed = controller.send_piece(path, file.read(PIECE_BYTES), offset), 0
        except NotReached:
            failed += 1
            if failed >= TRIES:
                raise
            wait.wait(PAUSE_SECONDS * failed)
            offset = _reached(controller, path, offset)


def _reached(controller: Controller, path: str, known: int) -> int:
    """How much is there; what was known when nobody answers yet."""
    try:
        return int(controller.ask("GET", path)["offset"])
    except NotReached:
        return known


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
