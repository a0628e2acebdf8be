# SPDX-License-Identifier: MIT
"""A site whose engine is played and whose trials are pretended; disks, drafts and database are real."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import pytest
from PIL import Image

from labvirt.domain.draft import Draft
from labvirt.domain.guest import Guest
from labvirt.domain.image import Version
from labvirt.domain.job import Job, JobState
from labvirt.usecases import jobs, sessions
from labvirt.usecases.ports import Ports
from labvirt.usecases.task import Task
from tests.fakes.player import Player
from tests.fakes.trial import FakeTrial
from tests.unit.usecases.conftest import Site


def picture(*, colours: int = 2) -> bytes:
    image = Image.new("RGB", (64, 40), (0, 0, 0))
    for number in range(1, colours):
        image.putpixel((number, 3), (number, 0, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass
class Stage:
    site: Site
    ports: Ports
    player: Player
    trial: FakeTrial

    def done(self, job: Job) -> Job:
        ended = jobs.run(self.ports, job.number)
        assert ended is not None
        return ended

    def well(self, job: Job) -> Job:
        ended = self.done(job)
        assert ended.state is JobState.DONE, ended.error
        return ended

    def session(self, letter: str = "A", *, by: str = "anna") -> Draft:
        """An open one in whose guest something was written."""
        job = self.well(sessions.start(self.ports, "desk", by=by))
        self.player.write_inside(job.result["guest"], letter)
        return self.draft(job.result["draft"])

    def draft(self, name: str) -> Draft:
        with self.ports.database.read() as work:
            return work.drafts.one(name)

    def version(self, number: int) -> Version:
        with self.ports.database.read() as work:
            found = work.images.version("tiny", number)
        assert found is not None
        return found

    def published(self) -> int | None:
        with self.ports.database.read() as work:
            return work.images.one("tiny").published

    def guests(self) -> tuple[Guest, ...]:
        with self.ports.database.read() as work:
            return work.guests.list()


def stage_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> Stage:
    trial = FakeTrial()
    ports = replace(site.ports, trials=trial)
    player = Player(ports=ports, clock=site.clock, engine=site.engine, picture=picture())

    def sleep(task: Task, seconds: float) -> None:
        task.check()
        if seconds > 0:
            player.nap(seconds)
            task.check()

    monkeypatch.setattr(Task, "sleep", sleep)
    monkeypatch.setattr(site.engine, "screenshot", player.screenshot)
    return Stage(site=site, ports=ports, player=player, trial=trial)
