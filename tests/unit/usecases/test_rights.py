# SPDX-License-Identifier: MIT
"""Who may do what: every use case asks, and what it asks for is what the table of roles says. Each refusal has its positive control."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import labvirt.usecases
from labvirt.domain.caller import CAMPUS, Caller, CallerKind, Grant
from labvirt.domain.draft import Draft, DraftState
from labvirt.domain.guest import GuestState, Purpose
from labvirt.domain.image import DiskChoice
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.domain.right import RIGHTS, Right, Role
from labvirt.domain.setting import Scope
from labvirt.errors import InvalidInput, NotAllowed, NotFound
from labvirt.usecases import (
    catalogue,
    classes,
    enrol,
    jobs,
    labs,
    messages,
    power,
    profiles,
    rights,
    session_start,
    sessions,
    settings,
    specials,
    terminals,
    versions,
)
from labvirt.usecases.inspect import overview
from labvirt.usecases.ports import Ports
from labvirt.usecases.settings import Level
from tests.unit.usecases.conftest import Site


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every function of the use cases that takes the doors."""
    for found in pkgutil.iter_modules(labvirt.usecases.__path__):
        module = importlib.import_module(f"labvirt.usecases.{found.name}")
        for name, each in vars(module).items():
            here = inspect.isfunction(each) and not name.startswith("_") and each.__module__ == module.__name__
            if here and next(iter(inspect.signature(each).parameters), "") == "ports":
                yield f"{found.name}.{name}", each


def as_(site: Site, *grants: Grant, rights: frozenset[Right] | None = None) -> Ports:
    """Somebody whom the campus vouches for: no password is asked once more, so that what is refused is refused for the right's sake."""
    anna = Caller(kind=CallerKind.PERSON, name="anna", person="anna", grants=grants, rights=rights, sign_in=f"{CAMPUS}anna")
    return site.ports.on_behalf_of(anna)


@pytest.fixture
def two(site: Site) -> Site:
    """The lab lab-a with a profile of its own and one that lab-b shares, the lab lab-b with one of its own; no profile for every lab."""
    ports = site.ports
    profiles.change(ports, "desk", labs=frozenset({"lab-a"}))
    labs.add(ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"), max_instances=8)
    terminals.add(ports, lab="lab-b", name="pc-b1")
    for name, image, where in (("shared", "both", {"lab-a", "lab-b"}), ("other", "theirs", {"lab-b"})):
        site.well(catalogue_blank(site, image))
        slots = (Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image=image),)
        profiles.add(ports, Profile(name=name, memory_mib=64, slots=slots, labs=frozenset(where)))
    site.well(catalogue_blank(site, "unused"))
    return site


def catalogue_blank(site: Site, name: str) -> Any:
    from labvirt.usecases import images

    return images.blank(site.ports, name, bytes=1 << 20, by="test", publish=True)


def test_every_use_case_asks_for_a_right_or_is_named_with_a_reason() -> None:
    found = dict(public())
    asks = {name for name, each in found.items() if hasattr(each, "need")}
    assert asks & rights.ALONE.keys() == set()
    assert found.keys() - asks - rights.ALONE.keys() == set(), "decorate with @needs, or name in rights.ALONE with the reason"
    assert rights.ALONE.keys() - found.keys() == set(), "named, and not there"
    assert len(asks) > 100
    assert all(len(why) > 20 for why in rights.ALONE.values())


def test_a_need_that_names_no_argument_is_a_mistake_at_import() -> None:
    with pytest.raises(TypeError, match="no argument lab"):

        @rights.needs(Right.LOOK, lab="lab")
        def wrong(ports: Ports, name: str) -> None: ...

    with pytest.raises(TypeError, match="say where"):
        rights.needs(Right.LOOK)
    with pytest.raises(TypeError, match="say where"):
        rights.needs(Right.LOOK, cupboard="name")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "right, act",
    [
        (Right.LOOK, lambda ports: labs.one(ports, "lab-a")),
        (Right.OPERATE, lambda ports: power.start(ports, "lab-a-01")),
        (Right.SEATS, lambda ports: terminals.change(ports, "pc-01", note="x")),
        (Right.UPDATE, lambda ports: session_start.start(ports, "desk", by="anna", lab="lab-a")),
        (Right.DESIGN, lambda ports: profiles.change(ports, "desk", note="x")),
        (Right.STORE, lambda ports: catalogue_note(ports, "tiny")),
        (Right.SITE, lambda ports: classes.remove(ports, "rdesktop")),
    ],
    ids=lambda value: str(value) if isinstance(value, Right) else "",
)
def test_each_role_may_what_its_table_says_in_its_lab_only(two: Site, role: Role, right: Right, act: Callable[[Ports], Any]) -> None:
    own, foreign, everywhere = as_(two, Grant(role, "lab-a")), as_(two, Grant(role, "lab-b")), as_(two, Grant(role))
    if right is Right.SITE:
        with pytest.raises(NotAllowed, match="site"):
            act(own)
    elif right in RIGHTS[role]:
        act(own)
        return
    else:
        with pytest.raises(NotAllowed, match=f"'{right}' in lab-a"):
            act(own)
    with pytest.raises(NotAllowed if right is Right.SITE else NotFound):
        act(foreign)
    if right in RIGHTS[role]:
        act(everywhere)
    else:
        with pytest.raises(NotAllowed):
            act(everywhere)


def catalogue_note(ports: Ports, image: str) -> Any:
    from labvirt.usecases import images

    return images.set_note(ports, image, "x")


def test_nobody_and_a_narrow_token_may_little(two: Site) -> None:
    nobody = two.ports.on_behalf_of(Caller(kind=CallerKind.TERMINAL, name="nobody"))
    with pytest.raises(NotFound):
        labs.one(nobody, "lab-a")
    assert labs.everything(nobody) == ()
    narrow = as_(two, Grant(Role.ADMINISTRATOR), rights=frozenset({Right.LOOK}))
    assert labs.one(narrow, "lab-a").name == "lab-a"
    with pytest.raises(NotAllowed):
        power.start(narrow, "lab-a-01")


def test_lists_show_what_one_may_look_at(two: Site) -> None:
    anna, everybody = as_(two, Grant(Role.TEACHER, "lab-a")), two.ports
    power.start(two.ports, "lab-a-01")
    power.start(two.ports, "lab-b-01")
    for names, hers, alls in (
        (lambda p: {each.name for each in labs.everything(p)}, {"lab-a"}, {"lab-a", "lab-b"}),
        (lambda p: {each.name for each in terminals.everything(p)}, {"pc-01"}, {"pc-01", "pc-b1"}),
        (lambda p: {each.name for each in profiles.everything(p)}, {"desk", "shared"}, {"desk", "shared", "other"}),
        (lambda p: {each.profile for each in profiles.all_administrative(p)}, {"desk", "shared"}, {"desk", "shared", "other"}),
        (lambda p: {each.image.name for each in catalogue.everything(p)}, {"tiny", "both"}, {"tiny", "both", "theirs", "unused"}),
        (lambda p: {each.name for each in power.guests(p)}, {"lab-a-01"}, {"lab-a-01", "lab-b-01"}),
        (lambda p: {each.subject for each in jobs.everything(p)}, {"tiny", "both"}, {"tiny", "both", "theirs", "unused"}),
        (lambda p: {each.lab.name for each in overview(p).labs}, {"lab-a"}, {"lab-a", "lab-b"}),
        (
            lambda p: {each.subject for each in settings.levels(p) if each.scope in (Scope.LAB, Scope.TERMINAL)},
            {"lab-a", "pc-01"},
            {"lab-a", "lab-b", "pc-01", "pc-b1"},
        ),
    ):
        assert names(anna) == hers
        assert names(everybody) == alls
    with pytest.raises(NotFound):
        power.guests(anna, "lab-b")
    assert len(power.guests(anna, "lab-a")) == 1


def test_what_is_shared_is_seen_by_each_and_changed_by_who_may_everywhere(two: Site) -> None:
    one, both = as_(two, Grant(Role.LAB_MANAGER, "lab-a")), as_(two, Grant(Role.LAB_MANAGER, "lab-a"), Grant(Role.LAB_MANAGER, "lab-b"))
    assert catalogue.one(one, "both").image.name == "both"
    assert profiles.one(one, "shared").name == "shared"
    for act in (
        lambda p: versions.publish(p, "both", 1, by="x"),
        lambda p: profiles.change(p, "shared", note="x"),
        lambda p: session_start.start(p, "shared", by="x", lab="lab-a"),
    ):
        with pytest.raises(NotAllowed, match="lab-a, lab-b"):
            act(one)
        act(both)
    with pytest.raises(NotFound):
        catalogue.one(both, "unused")
    assert catalogue.one(as_(two, Grant(Role.VIEWER)), "unused").image.name == "unused"


def test_nobody_reaches_into_another_lab_by_an_argument(two: Site) -> None:
    manager = as_(two, Grant(Role.LAB_MANAGER, "lab-a"))
    boss = as_(two, Grant(Role.LAB_MANAGER, "lab-a"), Grant(Role.LAB_MANAGER, "lab-b"))
    with pytest.raises(NotFound):
        terminals.change(manager, "pc-01", lab="lab-b", seat=5)
    assert terminals.change(boss, "pc-01", lab="lab-b", seat=5).lab == "lab-b"
    theirs = (Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="theirs"),)
    with pytest.raises(NotFound, match="theirs"):
        profiles.change(manager, "desk", slots=theirs)
    for wider in (frozenset({"lab-a", "lab-b"}), frozenset[str]()):
        with pytest.raises(NotAllowed):
            profiles.change(manager, "desk", labs=wider)
    with pytest.raises(NotAllowed):
        profiles.change(boss, "desk", labs=frozenset())
    assert profiles.change(boss, "desk", labs=frozenset({"lab-a", "lab-b"})).labs == {"lab-a", "lab-b"}
    spy = Profile(name="spy", memory_mib=64, slots=theirs, labs=frozenset({"lab-a"}))
    with pytest.raises(NotFound, match="theirs"):
        profiles.add(manager, spy)
    assert profiles.add(boss, spy).name == "spy"
    with pytest.raises(NotAllowed, match="'site'"):
        session_start.start(boss, "desk", by="x", lab="lab-a", cdrom="/etc/passwd")


def test_a_special_guest_and_a_draft_belong_to_lab_and_image(two: Site) -> None:
    now = two.clock.now()
    draft = Draft(
        name="both.d1",
        image="both",
        parent=1,
        pointer=1,
        profile="shared",
        lab="lab-a",
        place=0,
        state=DraftState.OPEN,
        since=now,
        made_at=now,
        touched_at=now,
        owner="x",
    )
    with two.ports.database.write() as work:
        work.drafts.add(draft)
        disks = (DiskChoice(place=0, image="both", version=1),)
        guest = specials.take(two.ports, work, "lab-a", purpose=Purpose.ADMIN, profile="shared", disks=disks, source="both.d1")
        work.commit()
    two.move(GuestState.STARTING, name=guest.name)
    two.move(GuestState.RUNNING, name=guest.name)
    one = as_(two, Grant(Role.TEACHER, "lab-a"))
    both = as_(two, Grant(Role.TEACHER, "lab-a"), Grant(Role.TEACHER, "lab-b"))
    stranger = as_(two, Grant(Role.TEACHER, "lab-c"))
    assert sessions.one(one, draft.name).draft == draft
    assert sessions.everything(stranger) == ()
    with pytest.raises(NotFound):
        sessions.one(stranger, draft.name)
    with pytest.raises(NotAllowed):
        messages.tell_guest(one, guest.name, "hello", by="x")
    with pytest.raises(NotAllowed):
        sessions.keep(one, draft.name, by="x")
    assert sessions.keep(both, draft.name, by="x").name == draft.name


def test_settings_of_a_level_and_the_inbox(two: Site) -> None:
    desk = as_(two, Grant(Role.HELP_DESK, "lab-a"))
    assert settings.change(desk, Level(scope=Scope.LAB, subject="lab-a"), "language", "es").own == {"language"}
    assert settings.show(desk, Level()).level == Level()
    with pytest.raises(NotAllowed):
        settings.change(desk, Level(), "language", "es")
    with pytest.raises(NotFound):
        settings.change(desk, Level(scope=Scope.TERMINAL, subject="pc-b1"), "language", "es")
    near = enrol.meet(two.ports, id="near", mac=None, address=labs.parse_network("10.77.0.0/24").terminal(3))
    far = enrol.meet(two.ports, id="far", mac=None, address=labs.parse_network("10.78.0.0/24").terminal(3))
    assert [each.id for each in enrol.strangers(desk)] == ["near"]
    with pytest.raises(NotFound):
        enrol.adopt(desk, far.code, lab="lab-a")
    with pytest.raises(NotFound):
        enrol.dismiss(desk, far.code)
    assert enrol.adopt(desk, near.code, lab="lab-a").lab == "lab-a"


def test_a_terminal_gets_profiles_of_its_own_lab_only(two: Site) -> None:
    manager, boss = as_(two, Grant(Role.LAB_MANAGER, "lab-b")), as_(two, Grant(Role.ADMINISTRATOR, None))
    assert terminals.change(manager, "pc-b1", profile="other").profile == "other"  # the positive control
    with pytest.raises(NotFound, match="desk"):  # what one may not see is not there, to name it neither
        terminals.change(manager, "pc-b1", profile="desk")
    with pytest.raises(InvalidInput, match="desk is meant for lab-a, not for lab-b"):
        terminals.change(boss, "pc-b1", profile="desk")
    with pytest.raises(InvalidInput, match="not for lab-b"):
        terminals.add(boss, lab="lab-b", name="pc-b2", profile="desk")
    assert [each.name for each in terminals.everything(boss, "lab-b")] == ["pc-b1"]
    profiles.change(boss, "other", labs=frozenset({"lab-a"}))
    assert terminals.change(boss, "pc-b1", note="by the window").profile == "other"  # placement tells that; the note is free
