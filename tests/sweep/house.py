# SPDX-License-Identifier: MIT
"""The controller that is killed: real database, real image store, real drafts and overlays, real jobs; machines and networks pretend."""

from __future__ import annotations

import hashlib
import io
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image

from labvirt.checks.driver import GuestTrials
from labvirt.contracts.engine import EngineLink
from labvirt.domain.guest import GuestState, RunId, Wish
from labvirt.domain.image import Version
from labvirt.domain.job import Job, JobState
from labvirt.engine.main import Engine
from labvirt.network.dhcp.fake import FakeDhcp
from labvirt.usecases import garbage, jobs
from labvirt.usecases.ports import Limits, Ports
from tests.engine.simulated import SimHypervisor, SimLab, lab, profile, until

MIB = 1 << 20


class Answering(GuestTrials):
    """Ports of guests that pretend are open, and their serial lines are silent."""

    def answers(self, address: object, port: int) -> bool:
        return True

    @contextmanager
    def overhear(self, folder: Callable[[], Path | None]) -> Iterator[Callable[[], str]]:
        yield lambda: ""


class Showing(SimHypervisor):
    """Machines whose screens show something."""

    def screenshot(self, run: RunId) -> bytes:
        picture = io.BytesIO()
        screen = Image.new("RGB", (64, 48), "navy")
        screen.putpixel((5, 5), (255, 255, 255))
        screen.save(picture, "PNG")
        return picture.getvalue()


class House(SimLab):
    """One state folder. Nothing waits for days here: rubbish is taken as soon as it was marked."""

    def __init__(self, root: Path, *, bin_days: float = 7, patience: float = 60) -> None:
        super().__init__(root)
        self._patience = patience
        for folder in ("checks", "canaries", "uploads"):
            (root / folder).mkdir(exist_ok=True)
        self.limits = Limits(bin_days=bin_days, orphan_hours=0, canary_seconds=30)
        self.hypervisor = Showing(root / "fake" / "hypervisor.json")
        self.dhcp = FakeDhcp(root / "fake" / "dhcp.json", self.clock, eager=True)

    def ports(self, engine: EngineLink) -> Ports:
        return replace(super().ports(engine), trials=Answering(self.root / "checks", self.root / "canaries"))

    def begin(self) -> None:
        """One lab of three seats, one image (1 MiB) with one version, one profile."""
        self.furnish(lab(seats=3), kind=profile(memory_mib=64))

    @contextmanager
    def at_work(self) -> Iterator[tuple[Ports, Engine]]:
        """With an engine that does jobs."""
        with self.engine(jobs=True) as engine:
            until(lambda: engine.status().reconciled_at is not None)
            yield self.ports(engine), engine

    def done(self, ports: Ports, job: Job) -> Job:
        """The job has ended well."""
        ended = jobs.wait(ports, job.number, lambda _: None, pause=0.01)
        if ended.state is not JobState.DONE:
            raise AssertionError(f"the job {ended.kind} is {ended.state}: {ended.error}")
        return ended

    def versions(self) -> dict[int, Version]:
        with self.database.read() as work:
            return {each.number: each for each in work.images.versions("tiny")}

    def published(self) -> int | None:
        with self.database.read() as work:
            image = work.images.get("tiny")
            return image.published if image else None

    def content(self, file: Path) -> str:
        """Checksum of what a guest sees on this disk; the chain is taken from the headers, as nobody else here does."""
        raw = self.root / "seen.raw"
        subprocess.run(["qemu-img", "convert", "-q", "-f", "qcow2", "-O", "raw", str(file), str(raw)], check=True, timeout=60)
        try:
            return hashlib.sha256(raw.read_bytes()).hexdigest()
        finally:
            raw.unlink()

    def problems(self) -> list[str]:
        """After a death: the controller is started again, and everything is looked at. Empty when all is well."""
        found: list[str] = []
        with self.at_work() as (ports, engine):
            until(
                lambda: self._quiet(ports) and not self._strange(engine), self._patience, says=lambda: (engine.verify(), self._rows(ports))
            )
            for _ in range(2):  # marked, then taken
                self.done(ports, garbage.collect(ports, by="the sweep"))
            until(lambda: not engine.verify(), self._patience, says=engine.verify)
            found += [f"verify: {finding.sentence}" for finding in engine.verify()]
        found += self._files()
        return found

    @staticmethod
    def _strange(engine: Engine) -> list[str]:
        """What verify finds, but for files without a row (a write of the row that failed leaves one): garbage collection takes those."""
        return [finding.code for finding in engine.verify() if not finding.code.endswith("-orphan")]

    def _quiet(self, ports: Ports) -> bool:
        ends = {Wish.RUNNING: (GuestState.RUNNING, GuestState.CONNECTED), Wish.STOPPED: (GuestState.STOPPED, GuestState.FAILED)}
        with self.database.read() as work:
            return not jobs.unfinished(ports) and all(row.state in ends[row.wish] for row in work.guests.list())

    def _rows(self, ports: Ports) -> object:
        with self.database.read() as work:
            return [(g.name, g.state, g.reason) for g in work.guests.list()], [
                (j.kind, j.state, j.step, j.error) for j in jobs.everything(ports, last=5)
            ]

    def _files(self) -> Iterator[str]:
        """Every version is what its row says, and nothing else lies in the store."""
        versions = self.versions()
        for version in versions.values():
            path = self.store.path(version)
            if not path.is_file():
                yield f"{version.label} has no file"
            elif hashlib.sha256(path.read_bytes()).hexdigest() != version.sha256:
                yield f"{version.label} is torn"
        known = {version.file for version in versions.values()}
        for entry in self.store.entries():
            if entry.file not in known:
                yield f"{entry.file} is an orphan in the store"
        for left in (self.root / "images" / ".stage").glob("*"):
            if left.is_dir():
                yield f"{left.name} was left in the stage"
        with self.database.read() as work:
            drafts = {each.name for each in work.drafts.list()}
        for file in self.drafts.list():
            if file.name not in drafts:
                yield f"the draft {file.name} has no row"
