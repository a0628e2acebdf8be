# SPDX-License-Identifier: MIT
"""An engine in small that plays with the rows, on the real run folders: enough for use cases that wait for a guest.

It acts whenever the job sleeps; the clock goes on meanwhile. What guests do is set by the flags.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from labvirt.contracts.disks import RunDisk
from labvirt.domain.guest import Due, Guest, GuestState, Purpose, RunId, StopHow, Wish
from labvirt.domain.image import DiskChoice, chain_of
from labvirt.domain.lease import Lease
from labvirt.errors import HypervisorError
from labvirt.usecases.ports import Ports
from tests.fakes.clock import FakeClock
from tests.fakes.engine import FakeEngineLink


@dataclass
class Player:
    ports: Ports
    clock: FakeClock
    engine: FakeEngineLink
    starts: bool = True
    leases: bool = True
    ignores_button: bool = False
    never_stops: bool = False
    picture: bytes = b""
    fails: str = ""
    after: list[Callable[[], None]] = field(default_factory=list)
    """Each is done once, at the next look."""
    naps: int = 0

    def nap(self, seconds: float) -> None:
        """What happens while somebody sleeps."""
        self.naps += 1
        assert self.naps < 2000, "somebody waits for ever"
        self.clock.go(max(seconds, 0.1))
        if self.after:
            self.after.pop(0)()
        self.look()

    def look(self) -> None:
        with self.ports.database.read() as work:
            rows = work.guests.list()
        for row in rows:
            if row.wish is Wish.STOPPED:
                self._stopping(row)
            elif row.state is GuestState.WANTED and self.starts:
                self._start(row)
            elif row.due is Due.STOP and row.due_at is not None and row.due_at <= self.clock.now():
                self._write(row.unwanted(StopHow.STOP))

    def screenshot(self, guest: str) -> bytes:
        with self.ports.database.read() as work:
            if not work.guests.one(guest).alive:
                raise HypervisorError(f"{guest} does not run.")
        return self.picture

    def client(self, seat: int = 1, image: str = "tiny", lab: str = "lab-a") -> Guest:
        """A seat's guest that runs from what is published."""
        with self.ports.database.write() as work:
            place = work.labs.one(lab)
            number = work.images.one(image).published or 1
            name = place.guest_name(seat)
            guest = Guest(
                name=name,
                lab=lab,
                seat=seat,
                wish=Wish.RUNNING,
                generation=1,
                state=GuestState.RUNNING,
                since=self.clock.now(),
                profile="desk",
                disks=(DiskChoice(place=0, image=image, version=number),),
                run=RunId(name, 1),
            )
            work.guests.add(guest)
            work.commit()
        return guest

    def write_inside(self, guest: str, letter: str = "A") -> None:
        """The guest changes its first disk."""
        overlay = self._overlay(guest)
        command = f"write -P {ord(letter)} 0 8192"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", command, str(overlay)], check=True, capture_output=True, timeout=60)

    def switch_off_inside(self, name: str) -> None:
        """Its user chose 'shut down'."""
        with self.ports.database.read() as work:
            self._off(work.guests.one(name).unwanted(StopHow.SHUTDOWN))

    def _overlay(self, guest: str) -> Path:
        with self.ports.database.read() as work:
            run = work.guests.one(guest).run
        assert run is not None
        folder = self.ports.disks.open_run(run)
        assert folder is not None
        return folder.overlays[0]

    def _start(self, row: Guest) -> None:
        if self.fails:
            self._write(row.moved(GuestState.FAILED, self.clock.now(), self.fails))
            return
        generation = row.generation + 1 if row.run is not None and row.run.generation >= row.generation else row.generation
        run = RunId(row.name, generation)
        with self.ports.database.read() as work:
            draft = work.drafts.get(row.source) if row.purpose is Purpose.ADMIN else None
            lab = work.labs.one(row.lab)
            disks = []
            for choice in row.disks:
                versions = work.images.versions(choice.image)
                version = next(each for each in versions if each.number == choice.version)
                linked = draft.name if draft is not None and choice.place == draft.place else None
                disks.append(RunDisk(place=choice.place, chain=chain_of(version, versions), draft=linked))
        self.ports.disks.create_run(run, tuple(disks), uid=None)
        now = self.clock.now()
        self._write(replace(row.moved(GuestState.RUNNING, now), run=run, generation=generation, running_at=now, started_at=now))
        if self.leases:
            identity = lab.identity(row.seat)
            until = now + timedelta(hours=1)
            self.engine.given.append(Lease(lab=lab.name, mac=identity.mac, address=identity.address, name=row.name, expires=until))

    def _stopping(self, row: Guest) -> None:
        if row.state in (GuestState.STOPPED, GuestState.FAILED) or self.never_stops:
            return
        if row.stop_how is StopHow.SHUTDOWN and self.ignores_button:
            if row.state is not GuestState.STOPPING:
                self._write(row.moved(GuestState.STOPPING, self.clock.now(), "its power button was pressed"))
            return
        self._off(row)

    def _off(self, row: Guest) -> None:
        if row.run is not None and row.purpose is not Purpose.SEAT:
            self.ports.disks.remove_run(row.run)
        self._write(row.moved(GuestState.STOPPED, self.clock.now()))

    def _write(self, row: Guest) -> None:
        with self.ports.database.write() as work:
            work.guests.update(row)
            work.commit()
