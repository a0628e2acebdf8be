# SPDX-License-Identifier: MIT
"""Profiles: slots that fill their buses in order; and which profile a terminal gets."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.addresses import AddressPlan
from labvirt.domain.image import DiskChoice, Image
from labvirt.domain.lab import Lab
from labvirt.domain.placement import choose, disks_of
from labvirt.domain.profile import PLACES, Bus, Machine, Mode, Profile, Slot, SlotKind
from labvirt.domain.terminal import Terminal
from labvirt.errors import InvalidInput

DISK = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny")
DESK = Profile(name="desk", memory_mib=64, slots=(DISK,))
LAB = Lab(name="lab-a", block=0, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=8)
TERMINAL = Terminal(name="pc-01", lab="lab-a", seat=1)
IMAGES = {"tiny": Image(name="tiny", published=4), "draft": Image(name="draft")}

slots = st.lists(
    st.builds(
        lambda kind, bus: Slot(kind=kind, bus=bus, image="tiny" if kind is SlotKind.DISK else None),
        st.sampled_from(SlotKind),
        st.sampled_from(Bus),
    ),
    max_size=30,
)


@given(slots, st.sampled_from(Machine))
def test_places_fill_in_order_bus_by_bus_or_the_profile_cannot_be(found: list[Slot], machine: Machine) -> None:
    counts = {bus: sum(slot.bus is bus for slot in found) for bus in Bus}
    possible = (
        any(slot.kind is SlotKind.DISK for slot in found)
        and all(counts[bus] <= PLACES[bus] for bus in Bus)
        and not (machine is Machine.Q35 and counts[Bus.IDE])
    )
    if not possible:
        with pytest.raises(InvalidInput, match="disks"):
            replace(DESK, slots=tuple(found), machine=machine)
        return
    placed = replace(DESK, slots=tuple(found), machine=machine).placed()
    assert [each.slot for each in placed] == found
    for bus in Bus:
        assert [each.index for each in placed if each.slot.bus is bus] == list(range(counts[bus]))


def test_an_empty_slot_moves_the_cd_rom_to_the_secondary_master() -> None:
    """S2-21: drives fill sequentially; IDE place 2 is the secondary master."""
    ide = [
        Slot(kind=kind, bus=Bus.IDE, image="tiny" if kind is SlotKind.DISK else None)
        for kind in (SlotKind.DISK, SlotKind.EMPTY, SlotKind.CDROM)
    ]
    profile = replace(DESK, machine=Machine.PC, slots=tuple(ide))
    assert [(each.slot.kind, each.index) for each in profile.placed()][-1] == (SlotKind.CDROM, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Desk"},
        {"memory_mib": 15},
        {"memory_mib": (1 << 20) + 1},
        {"cpus": 0},
        {"cpus": 65},
        {"position": -1},
        {"ready_port": 0},
        {"ready_port": 65536},
        {"user": ""},
        {"user": "x" * 65},
        {"user": "a\nb"},
        {"labs": frozenset({"../x"})},
        {"slots": ()},
    ],
)
def test_profiles_that_cannot_be(change: dict[str, object]) -> None:
    replace(DESK, memory_mib=16, cpus=64, position=0, ready_port=1, user="student")
    with pytest.raises(InvalidInput) as caught:
        replace(DESK, **change)  # type: ignore[arg-type]
    assert caught.value.field.split(".")[0] in {*change, "disks"}


@pytest.mark.parametrize(
    "kind, image, version",
    [
        (SlotKind.DISK, None, None),
        (SlotKind.CDROM, "tiny", None),
        (SlotKind.EMPTY, None, 1),
        (SlotKind.DISK, "../x", None),
        (SlotKind.DISK, "tiny", 0),
    ],
)
def test_slots_that_cannot_be(kind: SlotKind, image: str | None, version: int | None) -> None:
    with pytest.raises(InvalidInput, match="disks"):
        Slot(kind=kind, bus=Bus.SATA, image=image, version=version)


def test_disks_follow_the_published_pointer_or_are_pinned() -> None:
    pinned = replace(DISK, version=2)
    profile = replace(DESK, slots=(Slot(kind=SlotKind.EMPTY, bus=Bus.VIRTIO), DISK, pinned))
    assert disks_of(profile, IMAGES) == (DiskChoice(place=1, image="tiny", version=4), DiskChoice(place=2, image="tiny", version=2))
    assert "no published version" in str(disks_of(replace(DESK, slots=(replace(DISK, image="draft"),)), IMAGES))
    assert "does not exist" in str(disks_of(replace(DESK, slots=(replace(DISK, image="gone", version=1),)), IMAGES))


def test_the_first_startable_by_position_is_taken_and_every_other_says_why() -> None:
    profiles = [
        replace(DESK, name="off", position=0, active=False),
        replace(DESK, name="elsewhere", position=1, labs=frozenset({"lab-b"})),
        replace(DESK, name="teacher", position=2, mode=Mode.ADMINISTRATIVE),
        replace(DESK, name="unpublished", position=3, slots=(replace(DISK, image="draft"),)),
        replace(DESK, name="b", position=5),
        replace(DESK, name="a", position=5, labs=frozenset({"lab-a"})),
        replace(DESK, name="last", position=9),
    ]
    choice = choose(LAB, TERMINAL, profiles, IMAGES)
    assert choice.profile is not None
    assert choice.profile.name == "a"
    assert choice.disks == (DiskChoice(place=0, image="tiny", version=4),)
    assert [v.profile for v in choice.verdicts] == ["off", "elsewhere", "teacher", "unpublished", "a", "b", "last"]
    assert [v.profile for v in choice.verdicts if v.taken] == ["a"]
    whys = {v.profile: v.why for v in choice.verdicts}
    assert len(set(whys.values())) == 7
    assert "lab-b" in whys["elsewhere"]


def test_a_terminals_own_profile_wins_and_is_never_replaced_by_another() -> None:
    profiles = [DESK, replace(DESK, name="own", position=999)]
    own = replace(TERMINAL, profile="own")
    choice = choose(LAB, own, profiles, IMAGES)
    assert choice.profile is not None
    assert choice.profile.name == "own"
    refused = choose(LAB, own, [DESK, replace(profiles[1], active=False)], IMAGES)
    assert (refused.profile, [v.why for v in refused.verdicts]) == (None, ["it is not active"])
    gone = choose(LAB, own, [DESK], IMAGES)
    assert gone.profile is None
    assert "does not exist" in gone.verdicts[0].why


@given(st.permutations([replace(DESK, name=f"p{n}", position=n % 3) for n in range(6)]))
def test_the_choice_does_not_depend_on_the_order_of_the_list(profiles: list[Profile]) -> None:
    choice = choose(LAB, None, profiles, IMAGES)
    assert choice.profile is not None
    assert choice.profile.name == "p0"
    assert len(choice.verdicts) == 6
