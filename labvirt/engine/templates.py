# SPDX-License-Identifier: MIT
"""Templates of this host: which one a start may begin from, which are missing, and which may go. What a template is: domain.template; how
one is kept: contracts.templates. When one is built is decided in usecases.templates.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labvirt.contracts.engine import TemplateReport, TemplateStatus, TemplateWish
from labvirt.contracts.hypervisor import Capability, DiskLayer, HypervisorInfo, LaunchSpec
from labvirt.contracts.templates import KeptTemplate, Templates
from labvirt.domain import placement
from labvirt.domain.drives import placed_drives
from labvirt.domain.first_guest import first_guest
from labvirt.domain.guest import Purpose, RunId
from labvirt.domain.image import DiskChoice, Image
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Profile, Protocol
from labvirt.domain.template import MadeFrom, TemplateName, stale_because
from labvirt.domain.terminal import Terminal
from labvirt.engine.homes import told_of
from labvirt.engine.launch import spec_of, spice_of
from labvirt.engine.recording import Recording, hands_sticks_over
from labvirt.engine.world import World
from labvirt.errors import InUse, LabVirtError, Unsupported

log = logging.getLogger(__name__)

UNKNOWN = "the host is still being looked at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """What a start begins from: a template, or (None) the disk, and why it is no clone although its profile wants that."""

    template: KeptTemplate | None = None
    why: str = ""


class HostTemplates:
    """May be used from any thread. What is kept is listed once; only this process makes and removes templates here."""

    def __init__(self, world: World, info: Callable[[], HypervisorInfo | None]) -> None:
        self._world = world
        self._info = info
        self._lock = threading.Lock()
        self._known: tuple[KeptTemplate, ...] | None = None
        self._used: Counter[TemplateName] = Counter()
        self._unfit: dict[TemplateName, str] = {}

    def problem(self) -> str:
        """Why there are no instant clones on this host; empty when there can be."""
        info = self._info()
        if info is None:
            return UNKNOWN
        return "" if Capability.INSTANT_CLONE in info.capabilities else f"the driver {info.driver} has no instant clones here"

    def door(self) -> Templates:
        """The driver's operations. Raises Unsupported."""
        if self.problem():
            info = self._info()
            raise Unsupported("instant clones", info.driver if info else "not known yet")
        return self._world.hypervisor.templates()

    @contextmanager
    def offered(self, recorded: Recording) -> Iterator[Offered]:
        """What this start may begin from; it is not removed while the block goes on. Whatever cannot be found out means: from the disk."""
        offered = self._choose(recorded)
        name = offered.template.template.name if offered.template else None
        try:
            yield offered
        finally:
            if name is not None:
                with self._lock:
                    self._used[name] -= 1

    def unfit(self, name: TemplateName, why: str) -> None:
        """It cannot serve (one sentence, without a full stop): it is never offered again, and removed as soon as nobody stands on it."""
        with self._lock:
            self._unfit[name] = why
        try:
            self.remove(name)
        except LabVirtError as error:
            log.info("%s stays for now: %s", name, error)

    def forget(self) -> None:
        """What is kept is listed anew."""
        with self._lock:
            self._known = None

    def remove(self, name: TemplateName) -> None:
        """See contracts.engine: remove_template."""
        door = self.door()
        with self._lock:  # held: nobody begins from it meanwhile
            users = self._world.disks.template_users().get(name, ())
            if self._used[name] > 0 or users:
                raise InUse("template", str(name), ", ".join(users) or "a guest that is being started")
            door.remove(name)
            self._known = None

    def report(self) -> TemplateReport:
        """See contracts.engine: templates."""
        if problem := self.problem():
            return TemplateReport(problem=problem)
        wishes = _wishes(self._world)
        wanted = [(wish, self._made_from(wish)) for wish in wishes]
        users = self._world.disks.template_users()
        self._clear_away()
        self.forget()  # somebody may have removed one by hand
        kept = self._kept()
        good = [each for each in kept if each.template.name not in self._unfit]
        statuses = tuple(
            TemplateStatus(
                template=each.template,
                disk_bytes=each.disk_bytes,
                memory_bytes=each.memory_bytes,
                stale=self._unfit.get(each.template.name, "") or _stale(each, wanted),
                users=users.get(each.template.name, ()),
            )
            for each in kept
        )
        missing = tuple(wish.told for wish, made in wanted if not any(_serves(each, wish.profile.name, made) for each in good))
        return TemplateReport(kept=statuses, missing=missing)

    def _clear_away(self) -> None:
        """What can serve nobody any more and is in no list is gone, unless somebody stands on it."""
        for name in self.door().damaged():
            try:
                self.remove(name)
            except InUse:
                continue
            except LabVirtError as error:
                log.info("%s stays for now: %s", name, error)
                continue
            log.warning("%s is removed: its manifest was lost or changed", name)

    def current(self, profile: Profile, lab: Lab, seat: int, *, usb: bool, disks: tuple[DiskChoice, ...]) -> Offered:
        """What a start of this seat would begin from now. Nothing keeps it from being removed."""
        return self._find(profile, lab, seat, usb=usb, disks=disks, use=False)

    def _choose(self, recorded: Recording) -> Offered:
        profile, guest = recorded.profile, recorded.guest
        if not profile.instant_clone or guest.purpose is not Purpose.SEAT:
            return Offered()
        if guest.cdrom:
            return Offered(why="it has a disc")
        return self._find(profile, recorded.lab, recorded.identity.seat, usb=recorded.usb, disks=guest.disks, use=True)

    def _find(self, profile: Profile, lab: Lab, seat: int, *, usb: bool, disks: tuple[DiskChoice, ...], use: bool) -> Offered:
        if problem := self.problem():
            return Offered(why=problem)
        try:
            made = self._from(shape_of(self._world, profile, lab, seat, usb=usb), disks)
            with self._lock:
                known = self._listed()
                fitting = [each for each in known if each.template.name not in self._unfit and _serves(each, profile.name, made)]
                if fitting:
                    best = max(fitting, key=lambda each: each.template.name.number)
                    self._used[best.template.name] += use
                    return Offered(template=best)
        except LabVirtError as error:
            log.warning("templates of %s: %s", profile.name, error)
            return Offered(why="its templates cannot be read")
        own = [each for each in known if each.template.name.profile == profile.name]
        newest = max(own, key=lambda each: each.template.name.number, default=None)
        if newest is None:
            return Offered(why="its template is not made yet")
        why = self._unfit.get(newest.template.name, "") or stale_because(newest.template, made)
        return Offered(why=f"a new template is being made, because of {newest.template.name}: {why}")

    def _kept(self) -> tuple[KeptTemplate, ...]:
        with self._lock:
            return self._listed()

    def _listed(self) -> tuple[KeptTemplate, ...]:
        if self._known is None:
            self._known = self.door().kept()
        return self._known

    def _made_from(self, wish: _Wish) -> MadeFrom:
        return self._from(shape_of(self._world, wish.profile, wish.lab, wish.seat, usb=wish.usb), wish.disks)

    def _from(self, shape: LaunchSpec, disks: tuple[DiskChoice, ...]) -> MadeFrom:
        door = self.door()
        return MadeFrom(disks=disks, machine=door.machine(shape), ground=door.ground())


def shape_of(world: World, profile: Profile, lab: Lab, seat: int, *, usb: bool) -> LaunchSpec:
    """A machine of the profile, for its devices only: its files are named and not there."""
    identity = lab.identity(seat)
    guest = first_guest(lab, seat, world.clock.now())
    run = RunId(guest.name, 1)
    folder = world.runs / str(run)
    places = range(len(profile.slots))
    return spec_of(
        *(guest, run, profile, identity),
        folder=folder,
        chains={place: (DiskLayer(path=folder / f"overlay-{place}.qcow2", format="qcow2"),) for place in places},
        spice=spice_of(profile, lab, identity, folder, usb=usb),
        uid=None,
        told=told_of(guest, profile, lab, identity, None),
    )


def frozen_disks(profile: Profile, template: KeptTemplate) -> dict[int, Path]:
    """Place of each disk of the profile -> the template's file that its overlay stands on. Raises ValueError when they do not match."""
    places = [drive.place for drive in placed_drives(profile) if drive.place is not None and not drive.cdrom]
    return {place: layer.path for place, layer in zip(places, template.disks, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A template that some seat would start from, and a seat of that kind."""

    profile: Profile
    disks: tuple[DiskChoice, ...]
    lab: Lab
    seat: int
    usb: bool

    @property
    def told(self) -> TemplateWish:
        return TemplateWish(profile=self.profile.name, disks=self.disks, usb=self.usb)


def _wishes(world: World) -> tuple[_Wish, ...]:
    """One for each profile that wants clones and could be started; two where some seats' viewers hand USB sticks over and some do not."""
    with world.database.read() as work:
        profiles = [profile for profile in work.profiles.list() if profile.instant_clone and profile.active]
        if not profiles:
            return ()
        images = {image.name: image for image in work.images.list()}
        labs = work.labs.list()
        terminals = work.terminals.list()
        sticks = {terminal.name: hands_sticks_over(work, terminal) for terminal in terminals}
    found: dict[tuple[str, bool], _Wish] = {}
    for profile in profiles:
        for wish in _of_profile(profile, images, labs, terminals, sticks):
            found.setdefault((wish.profile.name, wish.usb), wish)
    return tuple(found.values())


def _of_profile(
    profile: Profile, images: dict[str, Image], labs: tuple[Lab, ...], terminals: tuple[Terminal, ...], sticks: dict[str, bool]
) -> Iterator[_Wish]:
    disks = placement.disks_of(profile, images)
    fitting = {lab.name: lab for lab in labs if profile.fits(lab.name)}
    if isinstance(disks, str) or not fitting:
        return
    for terminal in terminals:
        if terminal.lab in fitting:
            usb = sticks[terminal.name] and profile.protocol is Protocol.SPICE
            yield _Wish(profile=profile, disks=disks, lab=fitting[terminal.lab], seat=terminal.seat, usb=usb)
    if not any(terminal.lab in fitting for terminal in terminals):
        yield _Wish(profile=profile, disks=disks, lab=next(iter(fitting.values())), seat=1, usb=False)


def _serves(kept: KeptTemplate, profile: str, made: MadeFrom) -> bool:
    return kept.template.name.profile == profile and not stale_because(kept.template, made)


def _stale(kept: KeptTemplate, wanted: list[tuple[_Wish, MadeFrom]]) -> str:
    own = [made for wish, made in wanted if wish.profile.name == kept.template.name.profile]
    if not own:
        return "nobody is to start from it any more"
    reasons = [stale_because(kept.template, made) for made in own]
    return "" if "" in reasons else reasons[0]
