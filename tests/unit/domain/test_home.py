# SPDX-License-Identifier: MIT
"""Addresses of homes, and the sentence that says what is kept and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from labvirt.domain.addresses import AddressPlan
from labvirt.domain.forgetting import FORGETS_BYTES, forgetting
from labvirt.domain.guest import Purpose
from labvirt.domain.home import HOME_LENGTH, Home, Protocol, parse_home
from labvirt.domain.lab import Lab, OnLeave
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.errors import InvalidInput

VALUES = {"LAB": "lab-a", "SEAT": "7", "GUEST": "lab-a-07", "TERMINAL": "pc-7", "USER": "student"}
LAB = Lab(name="lab-a", block=0, network=AddressPlan(network=IPv4Network("10.77.0.0/24")), max_instances=8)
DESK = Profile(name="desk", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),))
OF_SEAT = replace(DESK, home="nfs://files.lab/homes/%LAB%/%SEAT%")
OF_LAB = replace(DESK, home="smb://files.lab/homes/%LAB%")
GO = "Keep your work somewhere else before you go."


@pytest.mark.parametrize(
    "text, filled",
    [
        ("nfs://files.lab/homes/%LAB%/%SEAT%", "nfs://files.lab/homes/lab-a/7"),
        ("smb://10.0.0.5/work/seat-%SEAT%-of-%LAB%", "smb://10.0.0.5/work/seat-7-of-lab-a"),
        ("smb://FILES/Share", "smb://FILES/Share"),
        ("nfs://f/%GUEST%/%TERMINAL%/%USER%", "nfs://f/lab-a-07/pc-7/student"),
    ],
)
def test_an_address_is_read_and_filled(text: str, filled: str) -> None:
    home = parse_home(text)
    assert str(home) == text
    assert str(home.filled(VALUES)) == filled


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "begin with"),
        ("/srv/homes", "begin with"),
        ("ftp://files.lab/x", "begin with"),
        ("NFS://files.lab/x", "begin with"),
        ("nfs://files.lab", "each folder"),
        ("nfs://files.lab/", "each folder"),
        ("nfs://files.lab//x", "each folder"),
        ("nfs://files.lab/../etc", "each folder"),
        ("nfs://files.lab/a b", "each folder"),
        ("nfs://files.lab/$(reboot)", "each folder"),
        ("nfs://files.lab/x,sec=none", "each folder"),
        ("nfs://files.lab/100%", "each folder"),
        ("smb://me:secret@files.lab/x", "without a user"),
        ("smb://files.lab:445/x", "without a user"),
        ("smb://%LAB%/x", "without a user"),
        ("smb://-files/x", "without a user"),
        ("smb:///x", "without a user"),
        ("nfs://files.lab/%SEET%", "%SEET%"),
        ("nfs://f/" + "x" * HOME_LENGTH, "at most"),
    ],
)
def test_what_is_no_address_is_refused_and_says_why(text: str, why: str) -> None:
    parse_home("nfs://files.lab/%SEAT%")
    with pytest.raises(InvalidInput, match="home") as caught:
        parse_home(text)
    assert why in str(caught.value)


def test_a_variable_without_a_value_gives_no_home_and_not_somebody_elses() -> None:
    home = parse_home("nfs://files.lab/homes/%TERMINAL%")
    assert home.filled(VALUES) is not None
    for value in ("", "..", "a/b", "a b", "a,b"):
        assert home.filled({**VALUES, "TERMINAL": value}) is None


def test_the_account_of_a_home_is_the_profiles() -> None:
    assert replace(DESK, user="student", home="smb://files.lab/homes/%USER%").home
    for user in (None, "..", "a b", "x/../y"):
        with pytest.raises(InvalidInput, match="%USER%"):
            replace(DESK, user=user, home="smb://files.lab/homes/%USER%")
    assert replace(DESK, user="a b", home="smb://files.lab/homes").home


@pytest.mark.parametrize(
    "change, grace, days, sentence",
    [
        (OnLeave.KEEP, 60, None, f"This computer forgets everything when it is switched off or given a fresh start. {GO}"),
        (OnLeave.KEEP, 60, 1, f"This computer forgets everything when it is switched off or given a fresh start, or after 1 day. {GO}"),
        (OnLeave.KEEP, 60, 7, f"This computer forgets everything when it is switched off or given a fresh start, or after 7 days. {GO}"),
        (OnLeave.RESET, 60, 7, f"This computer forgets everything 1 minute after you leave it, and when it is switched off. {GO}"),
        (OnLeave.RESET, 0, None, f"This computer forgets everything as soon as you leave it, and when it is switched off. {GO}"),
        (OnLeave.RESET, 1, None, f"This computer forgets everything 1 second after you leave it, and when it is switched off. {GO}"),
        (OnLeave.RESET, 119, None, f"This computer forgets everything 119 seconds after you leave it, and when it is switched off. {GO}"),
        (OnLeave.STOP, 3600, None, f"This computer forgets everything 1 hour after you leave it: then it is switched off. {GO}"),
        (OnLeave.STOP, 150, None, f"This computer forgets everything 2 minutes after you leave it: then it is switched off. {GO}"),
    ],
)
def test_a_desktop_without_a_home_says_when_it_forgets(change: OnLeave, grace: int, days: int | None, sentence: str) -> None:
    lab = replace(LAB, on_leave=change, leave_grace_seconds=grace)
    assert forgetting(replace(DESK, restart_days=days), lab, None) == sentence
    # A home that could not be filled is none: nothing is promised.
    assert forgetting(replace(OF_SEAT, restart_days=days), lab, None) == sentence


def test_a_desktop_with_a_home_says_where_it_is_who_sees_it_and_what_is_forgotten() -> None:
    lab = replace(LAB, on_leave=OnLeave.RESET)
    rest = "All other places on this computer are forgotten 1 minute after you leave it, and when it is switched off."
    kept = "Your home folder is kept on files.lab; "
    assert (
        forgetting(OF_SEAT, lab, parse_home(str(OF_SEAT.home)).filled(VALUES)) == f"{kept}whoever sits here next finds it there too. {rest}"
    )
    assert (
        forgetting(OF_LAB, lab, parse_home(str(OF_LAB.home)).filled(VALUES))
        == f"{kept}whoever else gets such a desktop finds it there too. {rest}"
    )


def test_special_guests_say_what_they_are() -> None:
    assert "can be published" in forgetting(OF_SEAT, LAB, None, Purpose.ADMIN)
    for purpose in (Purpose.CANARY, Purpose.RESCUE):
        assert "on trial" in forgetting(OF_SEAT, LAB, None, purpose)


def test_every_sentence_fits_the_screen() -> None:
    longest = Home(protocol=Protocol.NFS, server="x" * 180, parts=("y",))
    for on_leave in OnLeave:
        for purpose in Purpose:
            text = forgetting(replace(OF_LAB, restart_days=3650), replace(LAB, on_leave=on_leave), longest, purpose)
            assert len(text.encode()) <= FORGETS_BYTES
            assert text.isprintable()
