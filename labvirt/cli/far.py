# SPDX-License-Identifier: MIT
"""Carrying a command out at a controller elsewhere, and showing what it answers: the same JSON as here, and plain tables."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from labvirt.cli import errors, sending
from labvirt.cli.controller import Controller
from labvirt.cli.elsewhere import Call, call
from labvirt.cli.session import Session
from labvirt.errors import InvalidInput

PAUSE_SECONDS = 1.0
WIDEST = 8
"""Columns of a table."""
SENT = "image import"
"""It is more than one request."""


def carry_out(session: Session, ctx: click.Context, controller: Controller) -> None:
    """The command is done, its job (if it is one and nobody said --detach) has ended, and what came of it is shown. Ends with the exit
    code that the command would end with at the controller's own shell."""
    words = ctx.command_path.partition(" ")[2]
    found: Any
    if words == SENT:
        method, found = "POST", sending.send(controller, ctx.params)
    else:
        asked = call(ctx, controller)
        method, found = asked.method, _everything(controller, asked)
    if words in AFTERWARDS:
        found = AFTERWARDS[words](ctx, found)
    is_job = isinstance(found, dict) and {"number", "ended", "step"} <= found.keys()
    if is_job and (method == "POST" or words == "job wait") and not ctx.params.get("detach") and words != "job cancel":
        found = _ended(session, controller, found)
        if found["state"] != "done":
            error = found["error"] or {"code": "cancelled", "sentence": f"The job {found['number']} is {found['state']}.", "hint": ""}
            raise click.exceptions.Exit(errors.report_far_job(found["number"], error, as_json=session.as_json))
    _show(session, found)
    if words == "doctor" and not found["ok"]:
        raise click.exceptions.Exit(errors.NO)


def _everything(controller: Controller, asked: Call) -> Any:
    """All pages of a list as one."""
    found = controller.ask(asked.method, asked.path, asked.body, asked.headers)
    if not (isinstance(found, dict) and found.keys() == {"items", "next"}):
        return found
    items, after = found["items"], found["next"]
    while after is not None and asked.method == "GET" and "limit=" not in asked.path:
        more = controller.ask("GET", f"{asked.path}{'&' if '?' in asked.path else '?'}after={after}")
        items, after = [*items, *more["items"]], more["next"]
    return items


def _ended(session: Session, controller: Controller, job: dict[str, Any]) -> dict[str, Any]:
    """The job, when it has ended there. Ctrl-C leaves it alone."""
    step = ""
    wait = threading.Event()
    while not job["ended"]:
        if job["step"] != step:
            step = job["step"]
            session.say(f"job {job['number']}: {step}")
        wait.wait(PAUSE_SECONDS)
        job = controller.ask("GET", f"/api/v1/jobs/{job['number']}")
    return job


def _show(session: Session, found: Any) -> None:
    if isinstance(found, list):
        columns = [name for name, value in (found[0] if found else {}).items() if not isinstance(value, dict | list)][:WIDEST]
        rows = [[_cell(each.get(name)) for name in columns] for each in found]
        session.table(found, [name.upper().replace("_", " ") for name in columns], rows, empty="There is none.")
        return
    lines = [f"{name}: {_cell(value)}" for name, value in (found or {}).items() if value not in (None, "", [], {})]
    session.show(found if found is not None else {}, lines or ["Done."])


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_cell(each) for each in value)
    if isinstance(value, dict):
        return " ".join(f"{name}={_cell(each)}" for name, each in value.items() if each not in (None, ""))
    return "" if value is None else str(value)


def _kept(ctx: click.Context, picture: Any) -> Any:
    """The picture is in the file of this machine; said as here."""
    file: Path = ctx.params["file"]
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be written: {error.strerror}") from error
    return {"guest": ctx.params["name"], "file": str(file), "size_bytes": len(picture)}


def _said(ctx: click.Context, told: Any) -> Any:
    """One guest's as those of a lab."""
    return told if isinstance(told, list) else [told]


AFTERWARDS: Mapping[str, Callable[[click.Context, Any], Any]] = {"guest screenshot": _kept, "guest tell": _said}
"""What is done here with what the controller has answered."""
