# SPDX-License-Identifier: MIT
"""Profiles: cloned with everything, changed with validation, seen from their administrative side, compared, and advised."""

from __future__ import annotations

import pytest

from labvirt.domain.draft import DraftState
from labvirt.domain.profile import Bus, Clock, Firmware, Nic, SessionPolicy, Slot, SlotKind
from labvirt.errors import AlreadyExists, InUse, InvalidInput, NotFound
from labvirt.usecases import profiles
from tests.unit.usecases import library
from tests.unit.usecases.conftest import Site

TEXT = "def test_writer(guest):\n    assert guest.run('true')\n"


def test_a_clone_has_everything_and_its_own_checks(site: Site) -> None:
    ports = site.ports
    profiles.put_check(ports, "desk", "office.py", TEXT)
    changed = profiles.change(
        ports,
        "desk",
        nic=Nic.E1000,
        note="the class",
        hyperv=True,
        extra=("device=usb-tablet",),
        lab_positions=(("lab-a", 7),),
        max_guests=3,
        overlay_cap_mib=512,
        session_policy=SessionPolicy.DRAIN,
    )
    made = profiles.clone(ports, "desk", "copy")
    assert [each.field for each in profiles.difference(ports, "desk", "copy")] == ["active"]
    assert (made.checks, made.active, made.extra) == (("office.py",), False, changed.extra)
    profiles.put_check(ports, "desk", "office.py", TEXT + "# more\n")
    assert profiles.get_check(ports, "copy", "office.py") == TEXT
    with pytest.raises(AlreadyExists):
        profiles.clone(ports, "desk", "copy")
    with pytest.raises(NotFound):
        profiles.clone(ports, "nobody", "copy-2")
    profiles.remove_check(ports, "copy", "office.py")
    assert profiles.one(ports, "copy").checks == ()
    assert profiles.one(ports, "desk").checks == ("office.py",)
    with pytest.raises(NotFound):
        profiles.remove_check(ports, "copy", "office.py")
    profiles.remove(ports, "copy")


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"memory_mib": 1}, "memory_mib"),
        ({"extra": ("drive=file=/etc/shadow",)}, "extra"),
        ({"tpm": True}, "tpm"),
        ({"checks": ("office.py",)}, "checks"),
        ({"lab_positions": (("lab-a", 1), ("lab-a", 2))}, "lab_positions"),
        ({"slots": (Slot(kind=SlotKind.DISK, bus=Bus.IDE, image="tiny"),)}, "disks"),
    ],
)
def test_a_change_that_cannot_be_names_its_field_and_changes_nothing(site: Site, changes: dict[str, object], field: str) -> None:
    before = profiles.one(site.ports, "desk")
    with pytest.raises(InvalidInput) as refused:
        profiles.change(site.ports, "desk", **changes)
    assert refused.value.field == field
    assert profiles.one(site.ports, "desk") == before
    assert profiles.change(site.ports, "desk", firmware=Firmware.UEFI, tpm=True).tpm  # the control


def test_labs_that_a_position_names_must_exist(site: Site) -> None:
    with pytest.raises(NotFound, match="lab-x"):
        profiles.change(site.ports, "desk", lab_positions=(("lab-x", 1),))


def test_the_administrative_side_says_what_a_session_would_do(site: Site) -> None:
    ports = site.ports
    view = profiles.administrative(ports, "desk")
    assert (view.why_not, view.disks[0].version, view.policy) == ("", 1, SessionPolicy.REFUSE)
    library.running(site)
    refused = profiles.administrative(ports, "desk")
    assert refused.why_not == "1 client runs from tiny (lab-a-01)"
    profiles.change(ports, "desk", session_policy=SessionPolicy.ALONGSIDE)
    assert profiles.administrative(ports, "desk").why_not == ""
    library.draft(site, "tiny.d1")
    library.draft(site, "tiny.d2", state=DraftState.OPEN)
    busy = profiles.administrative(ports, "desk")
    assert busy.why_not.startswith("tiny is being updated by teacher since ")
    assert ([draft.name for draft in busy.disks[0].kept], busy.disks[0].open and busy.disks[0].open.name) == (["tiny.d1"], "tiny.d2")
    assert [each.profile for each in profiles.all_administrative(ports)] == ["desk"]
    with pytest.raises(InUse, match=r"tiny\.d1"):
        profiles.remove(ports, "desk")


def test_a_preview_is_the_engines_word_for_one_seat(site: Site) -> None:
    assert profiles.preview(site.ports, "desk", "lab-a", 2)
    assert ("preview", "desk", "lab-a", "2") in site.engine.asked
    for wrong in (0, 9):
        with pytest.raises(InvalidInput, match="1 to 8"):
            profiles.preview(site.ports, "desk", "lab-a", wrong)
    with pytest.raises(NotFound):
        profiles.preview(site.ports, "nobody", "lab-a")


def test_advice_has_reasons_and_a_way_back(site: Site) -> None:
    ports = site.ports
    assert [each.code for each in profiles.advice(ports, "desk")] == ["no-checks"]
    profiles.change(ports, "desk", nic=Nic.RTL8139, clock=Clock.LOCALTIME, slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny"),))
    found = {each.code: each for each in profiles.advice(ports, "desk")}
    assert set(found) == {"nic-virtio", "disk-virtio", "hyperv", "no-checks"}
    nic = found["nic-virtio"]
    assert "1997" in nic.reason
    assert nic.steps[-1] == "The way back, at any time: labvirt profile set desk --nic rtl8139"
    site.engine.away = True
    assert {each.code for each in profiles.advice(ports, "desk")} == set(found)
