# SPDX-License-Identifier: MIT
"""The first row of a seat, the seats that start with the host, and where a disc goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Network

import pytest

from labvirt.domain.addresses import LAST_SEAT, AddressPlan
from labvirt.domain.drives import placed_drives
from labvirt.domain.first_guest import early_seats, first_guest
from labvirt.domain.guest import GuestState, Purpose, Wish
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Bus, Machine, Profile, Slot, SlotKind
from labvirt.domain.terminal import Terminal
from labvirt.errors import Conflict

T0 = datetime(2026, 1, 1, tzinfo=UTC)
LAB = Lab(name="lab", block=0, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=6)
DISK = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny")
TINY = Profile(name="tiny", memory_mib=64, slots=(DISK,))
BIG = Profile(name="big", memory_mib=64, slots=(DISK,))


def test_a_first_guest_is_wanted() -> None:
    row = first_guest(LAB, 3, T0, terminal="pc3")
    assert (row.name, row.wish, row.generation, row.state, row.asked_at) == ("lab-03", Wish.RUNNING, 1, GuestState.WANTED, T0)
    assert (row.terminal, row.purpose) == ("pc3", Purpose.SEAT)
    assert first_guest(LAB, LAST_SEAT + 1, T0, purpose=Purpose.CANARY).name == "lab-s01"


def seats(lab: Lab, *profiles: Profile, terminals: tuple[Terminal, ...] = ()) -> tuple[int, ...]:
    named = {profile.name: profile for profile in profiles}

    def chosen(terminal: Terminal | None) -> Profile | None:
        return named.get(terminal.profile if terminal and terminal.profile else profiles[0].name)

    return early_seats(lab, terminals, profiles, chosen)


def test_seats_are_started_early_for_their_lab_and_for_their_profile() -> None:
    assert seats(LAB, TINY) == ()
    assert seats(replace(LAB, start_instances=2), TINY) == (1, 2)
    assert seats(LAB, replace(TINY, start_guests=3)) == (1, 2, 3)
    assert seats(LAB, replace(TINY, start_guests=99)) == (1, 2, 3, 4, 5, 6)
    assert seats(LAB, TINY, replace(BIG, start_guests=3)) == ()  # nobody would get it
    own = Terminal(name="pc5", lab="lab", seat=5, profile="big")
    off = Terminal(name="pc1", lab="lab", seat=1, active=False)
    assert seats(LAB, TINY, replace(BIG, start_guests=3), terminals=(own,)) == (5,)
    assert seats(LAB, replace(TINY, start_guests=2), replace(BIG, start_guests=1), terminals=(own, off)) == (2, 3, 5)
    assert seats(replace(LAB, start_instances=2), TINY, terminals=(off,)) == (2,)
    assert seats(LAB, replace(TINY, start_guests=2, labs=frozenset({"other"}))) == ()


def test_a_disc_goes_into_the_first_drive_or_a_new_one() -> None:
    assert [drive.disc for drive in placed_drives(TINY)] == [""]
    added = placed_drives(TINY, "/x.iso")[-1]
    assert (added.place, added.bus, added.index, added.cdrom, added.disc) == (None, Bus.SATA, 0, True, "/x.iso")
    tray = replace(TINY, slots=(DISK, Slot(kind=SlotKind.CDROM, bus=Bus.SATA), Slot(kind=SlotKind.CDROM, bus=Bus.SATA)))
    assert [(drive.place, drive.disc) for drive in placed_drives(tray, "/x.iso")] == [(0, ""), (1, "/x.iso"), (2, "")]
    old = replace(TINY, machine=Machine.PC, slots=(replace(DISK, bus=Bus.IDE), Slot(kind=SlotKind.EMPTY, bus=Bus.IDE)))
    drives = placed_drives(old, "/x.iso")
    assert [(drive.bus, drive.index) for drive in drives] == [(Bus.IDE, 0), (Bus.IDE, 2)]
    full = replace(TINY, slots=(replace(DISK, bus=Bus.SATA),) * 6)
    assert placed_drives(full, "/x.iso")[-1].bus is Bus.SCSI
    fuller = replace(TINY, slots=(*(replace(DISK, bus=Bus.SATA),) * 6, *(replace(DISK, bus=Bus.SCSI),) * 8))
    with pytest.raises(Conflict, match="no free place"):
        placed_drives(fuller, "/x.iso")
