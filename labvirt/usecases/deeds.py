# SPDX-License-Identifier: MIT
"""Which function does which kind of job.

Named as text and looked up when a job is done: those modules enqueue jobs themselves, and so could not be imported by what jobs.py
imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import cast

from labvirt.domain.job import JobKind
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task

Deed = Callable[[Ports, Task], Mapping[str, str]]
"""Does the whole job and gives its result. May be begun again at any point of itself, also when it was cancelled before its process died:
then its first step raises Cancelled, and what the first attempt left is its to clean up. Raises LabVirtError; lets Cancelled and
Interrupted pass when it has cleaned up behind itself."""

DEEDS: dict[JobKind, str] = {
    JobKind.IMPORT: "images.do_import",
    JobKind.BLANK: "images.do_blank",
    JobKind.EXPORT: "images.do_export",
    JobKind.SCRUB: "scrubbing.do_scrub",
    JobKind.SESSION: "sessions.do_session",
    JobKind.PUBLISH: "publishing.do_publish",
    JobKind.CANARY: "canaries.do_canary",
    JobKind.FLATTEN: "flattening.do_flatten",
    JobKind.GARBAGE: "garbage.do_garbage",
    JobKind.RESCUE_FILES: "rescue.do_files",
    JobKind.TEMPLATE: "templates.do_template",
    JobKind.BACKUP: "backups.do_backup",
}
"""Module of labvirt.usecases and function."""


def deed_of(kind: JobKind) -> Deed:
    """What does this kind of job."""
    module, function = DEEDS[kind].split(".")
    return cast(Deed, getattr(import_module(f"labvirt.usecases.{module}"), function))
