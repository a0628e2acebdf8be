# SPDX-License-Identifier: MIT
"""/guests: the virtual machines. {guest} is the name of a guest or of its terminal."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from labvirt import shapes
from labvirt.domain.guest import Guest, StopHow
from labvirt.domain.image import DiskChoice
from labvirt.domain.message import Message
from labvirt.usecases import inspect, looking, messages, power, seats
from labvirt.usecases.inspect import Explanation
from labvirt.usecases.ports import Ports
from labvirt.usecases.seats import SeatRestart, SeatVersions
from labvirt.web.api.model import Answered, Name, Shape, Told, model_of, shape
from labvirt.web.api.operation import Many, Noun
from labvirt.web.api.paging import Paged

noun = Noun("guests", "The virtual machines.")

GUEST = shape(Guest, shapes.guest, name="GuestTold", alive=bool, ready=bool)
AT_SEAT = shape(Guest, name="GuestAtSeat", alive=bool, ready=bool, next=list[model_of(DiskChoice)], is_old=bool)  # type: ignore[misc]
MESSAGES = Many(shape(Message), key=lambda each: each.guest)
EXPLANATION = shape(
    Explanation,
    shapes.explanation,
    name="Explanation",
    without=("lab", "terminal", "guest", "profile", "host"),
    lab=str,
    domain=str,
    terminal=str | None,
    guest=GUEST.model | None,
    profile=str | None,
    host=str | None,
)
SEAT_VERSIONS = shape(SeatVersions, shapes.seat_versions, name="SeatVersions", is_old=bool)


class Restart(Answered):
    """A seat with an old version: when it is started afresh (null: it stays), and why."""

    guest: str
    at: str | None
    why: str
    versions: SEAT_VERSIONS.model  # type: ignore[name-defined]


RESTARTS = Many(Shape(Restart, lambda ports, each: shapes.seat_restart(each)), key=lambda each: each.guest)


class Wanted(Paged):
    """Which guests."""

    lab: Annotated[str, Field(max_length=64, description="Only of this lab.")] = ""
    state: Annotated[str, Field(max_length=20, description="Only in this state.")] = ""


class Stopping(Told):
    """How it is stopped."""

    how: StopHow = StopHow.SHUTDOWN


class Saying(Told):
    """What is said, and for how long it is true."""

    sentence: Annotated[str, Field(min_length=1, max_length=400)]
    minutes: Annotated[int, Field(ge=1, le=1440)] = messages.MINUTES


class RestartOld(Told):
    """Which seats with an old version are started afresh."""

    lab: Name | None = None
    image: Name | None = None
    grace_seconds: Annotated[int, Field(ge=0, le=86400, description="For whoever sits there.")] = 300
    dry_run: Annotated[bool, Field(description="Only say what would be done.")] = False


@noun.get(
    "/guests",
    Many(
        Shape(AT_SEAT.model, lambda ports, pair: shapes.guest_at_seat(*pair)),
        key=lambda pair: pair[0].name,
        sorts={"since": lambda pair: str(pair[0].since)},
    ),
    cli="guest list",
)
def list_(ports: Ports, asked: Wanted) -> list[tuple[Guest, SeatVersions | None]]:
    """All guests that were ever wanted, with their versions now and at their next start."""
    lab = asked.lab or None
    living = {each.guest: each for each in seats.versions(ports, lab=lab)}
    return [(each, living.get(each.name)) for each in power.guests(ports, lab) if asked.state in ("", each.state)]


@noun.get("/guests/{guest}", GUEST, cli="guest show")
def show(ports: Ports, guest: str) -> Guest:
    """One guest."""
    return power.one(ports, guest)


@noun.post("/guests/{guest}/start", GUEST, cli="guest start")
def start(ports: Ports, guest: str) -> Guest:
    """Want it; nothing happens to one that lives."""
    return power.start(ports, guest, by=ports.caller.name)


@noun.post("/guests/{guest}/stop", GUEST, cli="guest stop")
def stop(ports: Ports, guest: str, told: Stopping) -> Guest:
    """Do not want it any more."""
    return power.stop(ports, guest, told.how)


@noun.post("/guests/{guest}/reset", GUEST, cli="guest reset", needs_engine=True)
def reset(ports: Ports, guest: str) -> Guest:
    """Press its reset button: same run, same disks."""
    return power.reset(ports, guest, by=ports.caller.name)


@noun.post("/guests/{guest}/fresh", GUEST, cli="guest fresh")
def fresh(ports: Ports, guest: str) -> Guest:
    """A new run on new overlays; what was written is forgotten."""
    return power.fresh(ports, guest, by=ports.caller.name)


@noun.post("/guests/{guest}/messages", shape(Message), cli="guest tell")
def tell(ports: Ports, guest: str, told: Saying) -> Message:
    """Show a sentence to whoever sits there, over the desktop."""
    return messages.tell_guest(ports, guest, told.sentence, minutes=told.minutes, by=ports.caller.name)


@noun.get("/guests/{guest}/explanation", EXPLANATION, cli="guest explain", tagged=False)
def explain(ports: Ports, guest: str) -> Explanation:
    """Why this seat gets this guest: rule, profile, versions, MAC, lease, host, command line."""
    return inspect.explain(ports, guest)


@noun.get("/guests/{guest}/screen", "image/png", cli="guest screenshot", tagged=False, needs_engine=True)
def screen(ports: Ports, guest: str) -> bytes:
    """Its screen as a PNG."""
    return looking.screen(ports, guest)


@noun.post("/old-guests/restart", RESTARTS, cli="guest restart-old")
def restart_old(ports: Ports, told: RestartOld) -> tuple[SeatRestart, ...]:
    """Start seats with an old version afresh. At once where nobody is connected, else after a grace, and told so."""
    return seats.restart_old(
        ports, lab=told.lab, image=told.image, grace_seconds=told.grace_seconds, by=ports.caller.name, dry_run=told.dry_run
    )
