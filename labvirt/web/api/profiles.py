# SPDX-License-Identifier: MIT
"""/profiles: what guests are made of."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field

from labvirt.domain.advice import Advice
from labvirt.domain.profile import (
    Bus,
    Clock,
    Firmware,
    Machine,
    Mode,
    Nic,
    Profile,
    Protocol,
    SessionPolicy,
    Slot,
    SlotKind,
    Sound,
    Video,
)
from labvirt.usecases import profiles
from labvirt.usecases.administration import AdministrativeView
from labvirt.usecases.ports import Ports
from labvirt.usecases.profiles import Difference
from labvirt.web.api.model import Answered, Asked, Name, Number, Seat, Shape, Text, Told, Whole, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("profiles", "What guests are made of.")

PROFILE = shape(Profile)
PROFILES = Many(PROFILE, key=lambda each: each.name, sorts={"position": lambda each: each.position})


class SlotTold(Told):
    """One place in the ordered list of drives: a disk names an image and follows its published version, or pins one."""

    kind: SlotKind = SlotKind.DISK
    bus: Bus
    image: Name | None = None
    version: Number | None = None


class ProfileChange(Told):
    """Fields of a profile. Null forgets one that may be missing."""

    memory_mib: Whole = 1024
    cpus: Whole = 1
    firmware: Firmware = Firmware.BIOS
    machine: Machine = Machine.Q35
    clock: Clock = Clock.UTC
    slots: Annotated[list[SlotTold], Field(max_length=64, description="All its drives anew, in order: the first disk boots.")] = []
    nic: Nic = Nic.VIRTIO
    sound: Sound = Sound.NONE
    video: Video = Video.STD
    protocol: Protocol = Protocol.SPICE
    mode: Mode = Mode.SNAPSHOT
    position: Whole = 100
    labs: Annotated[list[Name], Field(max_length=500, description="Only for these; empty: for every lab.")] = []
    active: bool = True
    user: Text | None = None
    ready_port: Whole | None = None
    note: Text = ""
    lab_positions: Annotated[dict[str, Whole], Field(max_length=500, description="Another position in some labs; all of them anew.")] = {}
    max_guests: Whole | None = None
    start_guests: Whole = 0
    restart_days: Whole | None = None
    session_policy: SessionPolicy = SessionPolicy.REFUSE
    drain_seconds: Whole = 300
    overlay_cap_mib: Whole | None = None
    hyperv: bool = False
    tpm: bool = False
    extra: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=64)] = []
    checks: Annotated[list[Annotated[str, Field(max_length=50)]], Field(max_length=64)] = []
    home: Annotated[str, Field(max_length=400)] | None = None
    instant_clone: bool = False

    def fields(self) -> dict[str, Any]:
        """As the use cases take them. Raises InvalidInput."""
        given = self.given()
        if "slots" in given:
            given["slots"] = tuple(Slot(kind=each.kind, bus=each.bus, image=each.image, version=each.version) for each in self.slots)
        if "labs" in given:
            given["labs"] = frozenset(self.labs)
        if "lab_positions" in given:
            given["lab_positions"] = tuple(sorted(self.lab_positions.items()))
        for name in ("extra", "checks"):
            if name in given:
                given[name] = tuple(given[name])
        return given


class ProfileNew(ProfileChange):
    """A new profile."""

    name: Name
    memory_mib: Whole
    slots: Annotated[list[SlotTold], Field(min_length=1, max_length=64, description="Its drives, in order: the first disk boots.")]


class Copy(Told):
    """How the copy is called."""

    name: Name


class At(Asked):
    """For which seat."""

    lab: Annotated[str, Field(max_length=64)]
    seat: Seat = 1


class Preview(Answered):
    """The command line a guest would start with."""

    profile: str
    lab: str
    seat: int
    command_line: list[str]


class CheckText(Told):
    """The text of a check file (pytest)."""

    text: Annotated[str, Field(max_length=65536)]


class Check(Answered):
    """One check file."""

    profile: str
    name: str
    text: str


AS_IT_IS: Any = lambda ports, value: value  # noqa: E731 - a value that is its own writing
CHECK = Shape(Check, AS_IT_IS)


class CheckName(Answered):
    """A check file that canaries of the profile run."""

    name: str


@noun.get("/profiles", PROFILES, cli="profile list")
def list_(ports: Ports, asked: Paged) -> tuple[Profile, ...]:
    """All profiles."""
    return profiles.everything(ports)


@noun.get("/profiles/{profile}", PROFILE, cli="profile show")
def show(ports: Ports, profile: str) -> Profile:
    """One profile."""
    return profiles.one(ports, profile)


@noun.get("/profiles/{profile}/administrative", shape(AdministrativeView), cli="profile show")
def administrative(ports: Ports, profile: str) -> AdministrativeView:
    """Its administrative side: what an admin session would do, and to whom."""
    return profiles.administrative(ports, profile)


@noun.get("/profiles/{profile}/advice", Many(shape(Advice), key=lambda each: (each.field, each.code)), cli="profile show")
def advice(ports: Ports, profile: str, asked: Paged) -> tuple[Advice, ...]:
    """What would run better, and why."""
    return profiles.advice(ports, profile)


@noun.post("/profiles", PROFILE, status=HTTPStatus.CREATED, cli="profile add")
def add(ports: Ports, told: ProfileNew) -> Profile:
    """A new profile."""
    return profiles.add(ports, Profile(**told.fields()))


@noun.patch("/profiles/{profile}", PROFILE, guarded_by="profiles_show", cli="profile set")
def change(ports: Ports, profile: str, told: ProfileChange) -> Profile:
    """Change a profile. Running guests keep what they were started with."""
    return profiles.change(ports, profile, **told.fields())


@noun.delete("/profiles/{profile}", guarded_by="profiles_show", cli="profile remove")
def remove(ports: Ports, profile: str) -> None:
    """Remove a profile that nobody uses."""
    profiles.remove(ports, profile)


@noun.post("/profiles/{profile}/clone", PROFILE, cli="profile clone")
def clone(ports: Ports, profile: str, told: Copy) -> Profile:
    """Copy everything under a new name. Its checks too; the copy is inactive at first."""
    return profiles.clone(ports, profile, told.name)


@noun.get("/profiles/{profile}/difference/{other}", Many(shape(Difference), key=lambda each: each.field), cli="profile diff")
def difference(ports: Ports, profile: str, other: str, asked: Paged) -> tuple[Difference, ...]:
    """What two profiles have otherwise."""
    return profiles.difference(ports, profile, other)


@noun.get("/profiles/{profile}/preview", Shape(Preview, AS_IT_IS), cli="profile preview")
def preview(ports: Ports, profile: str, asked: At) -> dict[str, Any]:
    """The command line a guest would start with. Nothing is started."""
    command = profiles.preview(ports, profile, asked.lab, asked.seat)
    return {"profile": profile, "lab": asked.lab, "seat": asked.seat, "command_line": list(command)}


@noun.get(
    "/profiles/{profile}/checks",
    Many(Shape(CheckName, lambda ports, name: {"name": name}), key=lambda name: name),
    cli="profile checks list",
)
def checks(ports: Ports, profile: str, asked: Paged) -> tuple[str, ...]:
    """What its canaries must pass."""
    return profiles.one(ports, profile).checks


@noun.get("/profiles/{profile}/checks/{check}", CHECK, cli="profile checks show")
def check(ports: Ports, profile: str, check: str) -> dict[str, Any]:
    """The text of one check file."""
    return {"profile": profile, "name": check, "text": profiles.get_check(ports, profile, check)}


@noun.put("/profiles/{profile}/checks/{check}", PROFILE, guarded_by="profiles_check", cli="profile checks add")
def put_check(ports: Ports, profile: str, check: str, told: CheckText) -> Profile:
    """Canaries run this file from now on."""
    return profiles.put_check(ports, profile, check, told.text)


@noun.delete("/profiles/{profile}/checks/{check}", PROFILE, guarded_by="profiles_check", cli="profile checks remove")
def remove_check(ports: Ports, profile: str, check: str) -> Profile:
    """Canaries do not run it any more; its file is gone."""
    return profiles.remove_check(ports, profile, check)
