# SPDX-License-Identifier: MIT
"""Terminal classes: who lacks what, by the same rule by which the terminal's answer is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labvirt.domain.answer import Status, values_of
from labvirt.domain.guest import GuestState
from labvirt.domain.profile import Protocol
from labvirt.domain.terminal_class import BUILT_IN, KNOWN, TerminalClass
from labvirt.errors import AlreadyExists, InUse, InvalidInput, NotFound
from labvirt.usecases import asking, classes, labs, power, profiles, terminals
from tests.unit.usecases.conftest import MAC, OWN, Site

ROOM = TerminalClass(name="room", program="xfreerdp", template="/v:%ADDRESS% /u:%USER% /d:%DOMAIN% /t:%ROOM%", defaults=(("ROOM", "a"),))


def test_who_lacks_what_is_named_with_the_command_that_mends_it(site: Site) -> None:
    ports = site.ports
    assert classes.add(ports, ROOM).terminals == ()
    terminals.change(ports, "pc-01", terminal_class="room")
    terminals.add(ports, lab="lab-a", name="pc-02", terminal_class="room", parameters=(("DOMAIN", "x"),))
    told = classes.one(ports, "room")
    assert told.terminals == ("pc-01", "pc-02")
    assert [(each.terminal, each.parameter, each.mend) for each in told.missing] == [
        ("pc-01", "USER", "labvirt profile set desk --user ACCOUNT"),
        ("pc-01", "DOMAIN", "labvirt terminal set pc-01 --parameter DOMAIN=VALUE"),
        ("pc-02", "USER", "labvirt profile set desk --user ACCOUNT"),
    ]

    def heard() -> Status:
        return asking.ask(ports, str(MAC), OWN).answer.status

    power.start(ports, "pc-01")
    site.move(GuestState.RUNNING)
    assert heard() is Status.FAILED
    profiles.change(ports, "desk", user="student", protocol=Protocol.RDP)
    assert [each.parameter for each in classes.one(ports, "room").missing] == ["DOMAIN"]
    assert heard() is Status.FAILED
    terminals.change(ports, "pc-01", parameters=(("DOMAIN", "x"),))
    assert classes.one(ports, "room").missing == ()
    assert heard() is Status.READY


def test_without_a_profile_nobody_is_said_to_lack_its_user(site: Site) -> None:
    classes.add(site.ports, ROOM)
    terminals.change(site.ports, "pc-01", terminal_class="room")
    profiles.change(site.ports, "desk", active=False)
    assert [each.parameter for each in classes.one(site.ports, "room").missing] == ["DOMAIN"]


def test_what_labvirt_fills_is_exactly_what_is_known(site: Site) -> None:
    lab, terminal = labs.one(site.ports, "lab-a"), terminals.one(site.ports, "pc-01")
    profile = profiles.one(site.ports, "desk")
    for protocol in Protocol:
        assert values_of(terminal, lab, replace(profile, protocol=protocol, user="x")).keys() == KNOWN
        assert values_of(terminal, lab, replace(profile, protocol=protocol)).keys() == KNOWN - {"USER"}


def test_a_class_is_added_once_changed_by_parts_and_kept_while_a_terminal_has_it(site: Site) -> None:
    ports = site.ports
    classes.add(ports, replace(ROOM, defaults=(("ROOM", "b"), ("ROOM", "a"))))
    assert classes.one(ports, "room").terminal_class == ROOM
    with pytest.raises(AlreadyExists, match="room"):
        classes.add(ports, ROOM)
    changed = classes.change(ports, "room", defaults={"A": "1"}).terminal_class
    assert changed == replace(ROOM, defaults=(("A", "1"), ("ROOM", "a")))
    assert classes.change(ports, "room").terminal_class == changed
    with pytest.raises(InvalidInput, match="no_default"):
        classes.change(ports, "room", no_defaults=("B",))
    for wrong in ({"program": "sh"}, {"template": "/p:x"}, {"defaults": {"PORT": "1"}}):
        with pytest.raises(InvalidInput):
            classes.change(ports, "room", **wrong)  # type: ignore[arg-type]
    assert classes.one(ports, "room").terminal_class == changed
    terminals.change(ports, "pc-01", terminal_class="room")
    with pytest.raises(InUse, match="the terminal pc-01"):
        classes.remove(ports, "room")
    terminals.change(ports, "pc-01", terminal_class="spice")
    pokes = site.engine.pokes
    classes.remove(ports, "room")
    assert site.engine.pokes == pokes + 1
    assert site.history("room") == [
        "class removed",
        "class changed: nothing",
        "class changed: defaults",
        "class added with the program xfreerdp",
    ]
    for act in (classes.one, classes.change, classes.remove):
        with pytest.raises(NotFound, match="room"):
            act(ports, "room")
    assert classes.everything(ports) == tuple(sorted(BUILT_IN, key=lambda each: each.name))


def test_an_argument_that_only_the_profiles_account_spoils_is_a_sentence_and_not_a_viewer(site: Site) -> None:
    classes.add(site.ports, TerminalClass(name="odd", program="xfreerdp", template="/v:%ADDRESS% %USER%"))
    terminals.change(site.ports, "pc-01", terminal_class="odd")
    power.start(site.ports, "pc-01")
    site.move(GuestState.RUNNING)
    profiles.change(site.ports, "desk", user="/p:hunter2")
    answer = asking.ask(site.ports, str(MAC), OWN).answer
    assert (answer.status, answer.viewer) == (Status.FAILED, None)
    assert "refuse" in answer.message
    assert "hunter2" not in answer.message
    profiles.change(site.ports, "desk", user="/sound")
    assert asking.ask(site.ports, str(MAC), OWN).answer.status is Status.READY
