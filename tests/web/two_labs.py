# SPDX-License-Identifier: MIT
"""A site of two labs that share nothing: each has a terminal, a running guest, an image with its profile, a draft, a job, and a stranger
that knocks in its network. The name of each begins with its lab's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import PurePosixPath

from labvirt.domain.addresses import MacAddress
from labvirt.domain.canary import Canary, CanaryStep
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import GuestState, RunId
from labvirt.domain.image import Image, Stage, Version
from labvirt.domain.job import JobKind
from labvirt.domain.profile import Bus, Mode, Profile, SessionPolicy, Slot, SlotKind
from labvirt.domain.terminal import Stranger
from labvirt.usecases import jobs, labs, terminals

from .conftest import Site
from .lab import guest, put

OWN, FOREIGN = "lab-a", "lab-b"
NUMBERS: Mapping[str, int] = {OWN: 1, FOREIGN: 2}
"""The number of each lab's job."""
CODES: Mapping[str, str] = {OWN: "AAAAA2", FOREIGN: "BBBBB2"}
"""What stands on the screen of each lab's stranger."""
MACS: Mapping[str, MacAddress] = {OWN: MacAddress(0x525400CC00AA), FOREIGN: MacAddress(0x525400CC00BB)}


def furnish(site: Site) -> None:
    """lab-b is there beside lab-a, and each has everything."""
    labs.add(site.ports, name=FOREIGN, network=labs.parse_network("10.78.0.0/24"), max_instances=8)
    terminals.add(site.ports, lab=FOREIGN, seat=1, name=f"{FOREIGN}-t01")
    one = guest(1, GuestState.RUNNING, site.ports.clock.now())
    other = replace(one, name=f"{FOREIGN}-01", lab=FOREIGN, terminal=f"{FOREIGN}-t01", run=RunId(f"{FOREIGN}-01", 1))
    put(site.ports, site.engine, one, other)
    for lab, network in ((OWN, "10.77.0"), (FOREIGN, "10.78.0")):
        _image(site, lab)
        _stranger(site, lab, IPv4Address(f"{network}.200"))
        job = jobs.enqueue(site.ports, JobKind.FLATTEN, f"{lab}-disk:1", by="nobody", arguments={"image": f"{lab}-disk"})
        assert job.number == NUMBERS[lab]


def _image(site: Site, lab: str) -> None:
    now, name = site.ports.clock.now(), f"{lab}-disk"
    with site.ports.database.write() as work:
        work.images.add(Image(name=name))
        for number in (1, 2):
            version = Version(
                image=name,
                number=number,
                file=PurePosixPath(f"{name}/{number}.qcow2"),
                format="qcow2",
                size_bytes=1,
                virtual_bytes=1,
                sha256="0" * 64,
                stage=Stage.TESTED,
                made_at=now,
            )
            work.images.add_version(version)
            work.images.publish(name, number, expected=number - 1 or None)
        slot = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image=name)
        policy = SessionPolicy.REFUSE
        profile = Profile(
            name=f"{lab}-desk", memory_mib=64, slots=(slot,), labs=frozenset({lab}), mode=Mode.ADMINISTRATIVE, session_policy=policy
        )
        work.profiles.add(profile)
        draft = Draft(
            name=f"{name}.d1",
            image=name,
            parent=2,
            pointer=2,
            profile=profile.name,
            lab=lab,
            place=0,
            state=DraftState.KEPT,
            since=now,
            made_at=now,
            touched_at=now,
            owner="nobody",
        )
        work.drafts.add(draft)
        tried = (CanaryStep(name="it starts", ok=True),)
        work.canaries.put(Canary(image=name, version=1, profile=profile.name, at=now, seconds=1.0, steps=tried, picture=f"{name}.png"))
        work.commit()


def _stranger(site: Site, lab: str, address: IPv4Address) -> None:
    now = site.ports.clock.now()
    mac = MACS[lab]
    with site.ports.database.write() as work:
        work.strangers.put(Stranger(id=str(mac), code=CODES[lab], mac=mac, address=address, first_seen=now, last_seen=now))
        work.commit()
