# SPDX-License-Identifier: MIT
"""POST /terminals/boot: the time line of one boot, told once by the terminal itself (docs/reference/terminal-protocol.md, section 4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, request

from labvirt.domain.boot import LONGEST_MS, MOST_BYTES, PHASES, check_boot_id
from labvirt.domain.names import check_terminal_id, one_line
from labvirt.errors import InvalidInput
from labvirt.usecases import boots
from labvirt.usecases.ports import Ports
from labvirt.web.terminal.question import source_of

FLAGS = {"yes": True, "no": False}


def register(routes: Blueprint, ports: Ports, flow_since: Callable[[str], datetime | None]) -> None:
    """The route. `flow_since`: since when the guest of this name has had a connection to its display, as far as this process knows."""

    @routes.post("/boot")
    def boot() -> Response:
        form = request.form
        id = None if form.get("id") is None else check_terminal_id(form["id"])
        source = source_of({"client": (request.remote_addr, 0) if request.remote_addr else None})
        complete = FLAGS.get(form.get("complete", "yes"))
        if complete is None:
            raise InvalidInput("complete", "must be yes or no")
        now_ms = _number("now", LONGEST_MS)
        if now_ms is None:
            raise InvalidInput("now", "is missing", hint="The terminal's own clock at this moment, in ms since its kernel's start.")
        boots.tell(
            ports,
            id,
            source,
            boot_id=check_boot_id(form.get("boot", "")),
            now_ms=now_ms,
            phases={name: ms for name in PHASES if (ms := _number(f"phase_{name}", LONGEST_MS)) is not None},
            complete=complete,
            firmware_ms=_number("firmware_ms", LONGEST_MS),
            loader_ms=_number("loader_ms", LONGEST_MS),
            image_from=form.get("image_from", ""),
            image_bytes=_number("image_bytes", MOST_BYTES),
            kernel_bytes=_number("kernel_bytes", MOST_BYTES),
            initrd_bytes=_number("initrd_bytes", MOST_BYTES),
            kiosk=one_line(form.get("kiosk", ""), 40),
            flow_since=flow_since,
        )
        return Response(status=204)


def _number(name: str, most: int) -> int | None:
    text = request.form.get(name)
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) <= most):
        raise InvalidInput(name, f"must be a whole number from 0 to {most}")
    return int(text)
