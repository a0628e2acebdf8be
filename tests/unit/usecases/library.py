# SPDX-License-Identifier: MIT
"""What tests of the image library need beside the site: versions that are made quickly, guests and drafts in any state."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta

from labvirt.contracts.disks import RunDisk
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import Guest, GuestState, RunId
from labvirt.domain.image import DiskChoice, Image, Stage, Version, chain_of
from labvirt.domain.kept import Kept
from labvirt.usecases import power
from labvirt.usecases.ports import Ports
from tests.fakes.disks import version_of
from tests.unit.usecases.conftest import Site


def put(ports: Ports, version: Version, *, publish: bool = False, stage: Stage = Stage.DRAFT) -> Version:
    """The version has its row, as if a job had made it."""
    with ports.database.write() as work:
        image = work.images.get(version.image)
        if image is None:
            image = Image(name=version.image)
            work.images.add(image)
        work.images.next_number(version.image)
        work.images.add_version(replace(version, stage=stage))
        if publish:
            work.images.publish(version.image, version.number, expected=image.published)
        work.commit()
    return version


def another(site: Site, number: int, *, image: str = "tiny", publish: bool = False, stage: Stage = Stage.DRAFT) -> Version:
    """An empty disk as one more version of the image."""
    stored = site.ports.store.blank_version(virtual_bytes=(1 << 20) + number * 512, image=image, number=number)
    return put(site.ports, version_of(stored, image=image, number=number), publish=publish, stage=stage)


def versions(site: Site, image: str = "tiny") -> tuple[Version, ...]:
    with site.ports.database.read() as work:
        return work.images.versions(image)


def draft(site: Site, name: str = "tiny.d1", *, parent: int = 1, state: DraftState = DraftState.KEPT) -> Draft:
    """A draft with its real file."""
    image = name.partition(".")[0]
    known = versions(site, image)
    site.ports.drafts.create(name, chain_of(next(each for each in known if each.number == parent), known))
    now = site.clock.now()
    made = Draft(
        name=name,
        image=image,
        parent=parent,
        pointer=1,
        profile="desk",
        lab="lab-a",
        place=0,
        state=state,
        since=now,
        made_at=now,
        touched_at=now,
        owner="teacher",
    )
    with site.ports.database.write() as work:
        work.drafts.add(made)
        work.commit()
    return made


def layer(site: Site, number: int, parent: int) -> Version:
    """A version whose file stands on its parent's."""
    known = versions(site)
    chain = chain_of(next(each for each in known if each.number == parent), known)
    name = f"tiny.d{100 + number}"
    site.ports.drafts.create(name, chain)
    stored = site.ports.store.seal(name, chain, number=number)
    site.ports.drafts.remove(name)
    return put(site.ports, version_of(stored, number=number, parent=parent))


def running(site: Site, name: str = "lab-a-01", *, state: GuestState = GuestState.RUNNING) -> Guest:
    """A living guest of that seat, from what is published."""
    power.start(site.ports, name)
    guest = site.move(GuestState.RUNNING, name=name)
    return guest if state is GuestState.RUNNING else site.move(state, name=name)


def kept(site: Site, run: RunId, version: Version, *, pattern: int = 7, hours_ago: float = 0) -> Kept:
    """The overlay of an ended run, with something written to it."""
    known = versions(site, version.image)
    site.ports.disks.create_run(run, (RunDisk(place=0, chain=chain_of(version, known)),), uid=None)
    folder = site.ports.disks.open_run(run)
    assert folder is not None
    write = ("qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 0 64k", str(folder.overlays[0]))
    subprocess.run(write, check=True, capture_output=True, timeout=60)
    about = Kept(
        run=run,
        profile="desk",
        disks=(DiskChoice(place=0, image=version.image, version=version.number),),
        ended_at=site.clock.now() - timedelta(hours=hours_ago),
        why="it was stopped",
        terminal="pc-01",
    )
    stored = site.ports.kept.keep(run, about)
    assert stored is not None
    return stored
