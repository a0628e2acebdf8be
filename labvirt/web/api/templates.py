# SPDX-License-Identifier: MIT
"""/templates: booted, frozen guests from which instant clones start."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from pydantic import Field

from labvirt.contracts.engine import TemplateReport
from labvirt.domain.job import Job
from labvirt.usecases import templates
from labvirt.usecases.ports import Ports
from labvirt.web.api.jobs import JOB
from labvirt.web.api.model import Asked, shape
from labvirt.web.api.operation import Noun

noun = Noun("templates", "Booted, frozen guests from which instant clones start.")


class Wanted(Asked):
    """Whose."""

    profile: Annotated[str, Field(max_length=64, description="Only of this profile.")] = ""


@noun.get("/templates", shape(TemplateReport), cli="template list")
def list_(ports: Ports, asked: Wanted) -> TemplateReport:
    """What is kept on this host, what it costs, and what is missing."""
    return templates.of_profile(ports, asked.profile) if asked.profile else templates.everything(ports)


@noun.post("/profiles/{profile}/templates", JOB, status=HTTPStatus.ACCEPTED, cli="template build")
def build(ports: Ports, profile: str) -> Job:
    """Make a new one now. A guest of the profile is booted and frozen."""
    return templates.build(ports, profile, by=ports.caller.name)


@noun.delete("/profiles/{profile}/templates/{number}", None, cli="template remove")
def remove(ports: Ports, profile: str, number: int) -> None:
    """Remove it now. While the profile opts in, one that is needed is made anew."""
    templates.remove(ports, profile, number)
