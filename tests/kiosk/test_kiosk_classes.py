# SPDX-License-Identifier: MIT
"""The controller's terminal classes against the kiosk that has to run them: one list of refusals at both ends."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from labvirt.domain import terminal_class
from labvirt.domain.addresses import AddressPlan
from labvirt.domain.answer import values_of
from labvirt.domain.lab import Lab
from labvirt.domain.profile import Bus, Profile, Protocol, Slot, SlotKind
from labvirt.domain.terminal import Terminal
from labvirt.domain.terminal_class import BUILT_IN, TerminalClass
from labvirt.errors import InvalidInput

LAB = Lab(name="lab-a", block=0, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=8)
TERMINAL = Terminal(name="pc-01", lab="lab-a", seat=7)
SLOT = Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny")


def the_answer(each: TerminalClass, *arguments: str):
    """What the kiosk makes of the answer, read by its own reader; the class's own arguments unless some are given."""
    from labvirt_kiosk.answer import from_fields

    spice = each.program == "remote-viewer"
    profile = Profile(name="p", memory_mib=64, slots=(SLOT,), protocol=Protocol.SPICE if spice else Protocol.RDP, user="student")
    known = values_of(TERMINAL, LAB, profile)
    return from_fields(
        {
            "version": 1,
            "status": "ready",
            "protocol": str(profile.protocol),
            "address": known["ADDRESS"],
            "port": int(known["PORT"]),
            "program": each.program,
            "arguments": list(arguments or each.arguments(known, {})),
            "secret": "ticket",
        }
    )


EXPECTED = {
    "spice": [["--full-screen", "--kiosk", "--kiosk-quit=on-disconnect", "/run/guest.vv"]],
    "rdp": [
        ["/v:10.77.0.135:3389", "/u:student", "+clipboard", "/f", "/from-stdin:force"],
        ["/args-from:stdin"],
    ],
    "rdesktop": [["-f", "-p", "-", "-u", "student", "10.77.0.135:3389"]],
}


@pytest.mark.parametrize("each", BUILT_IN, ids=lambda each: each.name)
def test_the_kiosk_runs_every_built_in_class(each: TerminalClass) -> None:
    from labvirt_kiosk import viewer_command
    from labvirt_kiosk.ticket import Ticket
    from labvirt_kiosk.trouble import Refused

    ticket = Ticket(guest="lab-a-07", address="10.77.0.1", port=1, user="student", secret="s3cret", expires_seconds=5)
    majors = (2, 3) if each.program == "xfreerdp" else (None,)
    for major, expected in zip(majors, EXPECTED[each.name], strict=True):
        program = viewer_command.Program(name=each.program, path="/usr/bin/x", major=major)
        command = viewer_command.render(the_answer(each), program, ticket, Path("/run/guest.vv"))
        assert list(command.argv) == ["/usr/bin/x", *expected]
        if command.argv[1:] == ("/args-from:stdin",):
            assert command.standard_input.splitlines() == ["/v:10.77.0.135:3389", "/u:student", "+clipboard", "/f", "/p:s3cret"]
        with pytest.raises(Refused, match="a ticket is needed"):
            viewer_command.render(the_answer(each), program, None, Path("/run/guest.vv"))
        open_one = replace(the_answer(each), needs_ticket=False)
        bare = viewer_command.render(open_one, program, None, Path("/run/guest.vv"))
        assert bare.standard_input == ""
        if each.program != "remote-viewer":  # a class that takes the whole screen by itself could have no window
            windowed = viewer_command.render(open_one, program, None, None, windowed=True)
            assert not {"-f", "/f"} & set(windowed.argv)
    bad = {"remote-viewer": "--gtk-module=x", "xfreerdp": "/p:x", "rdesktop": "-p"}[each.program]
    with pytest.raises(Refused):  # the checker is awake
        viewer_command.check(the_answer(each, bad))


def test_both_ends_hold_the_same_lists() -> None:
    from labvirt_kiosk import answer, viewer_command

    def patterns(table) -> dict[str, tuple[str, int]]:
        return {program: (each.pattern, each.flags) for program, each in table.items()}

    assert patterns(terminal_class.REFUSED) == patterns(viewer_command._FORBIDDEN)
    assert set(terminal_class.PROGRAMS) == set(viewer_command.PROGRAMS)
    assert (terminal_class.MOST_ARGUMENTS, terminal_class.LONGEST_ARGUMENT) == (answer.MOST_ARGUMENTS, answer.LONGEST_ARGUMENT)


WORDS = [
    *["--gtk-module", "--gtk-module=/x.so", "--kiosk", "spice://h?password=x", "--title=password", "x"],
    *["/p", "/p:x", "-p", "--p:x", "+p:x", "/P:x", "/port:1", "/gp:x", "/pth:x", "/pass-the-hash:x", "/assistance:x", "/action-script:x"],
    *[
        "/rdp2tcp:x",
        "/args-from:stdin",
        "--args-from=fd:3",
        "/from-stdin",
        "/from-stdin:force",
        "/v:h",
        "/f",
        "+clipboard",
        "/u:password=x",
    ],
    *["-px", "-fpx", "-f", "-u", "-", "-gp", "-bBp", "p"],
]


@pytest.mark.parametrize("each", BUILT_IN, ids=lambda each: each.program)
def test_what_the_kiosk_refuses_no_class_can_have_and_nothing_else(each: TerminalClass) -> None:
    from labvirt_kiosk import viewer_command
    from labvirt_kiosk.trouble import Refused

    def kiosk(word: str) -> bool:
        try:
            viewer_command.check(the_answer(each, word))
        except Refused:
            return True
        return False

    def controller(word: str) -> bool:
        try:
            TerminalClass(name="x", program=each.program, template=f"%VV% {word}")
        except InvalidInput:
            return True
        return False

    assert {word: controller(word) for word in WORDS} == {word: kiosk(word) for word in WORDS}
    assert {controller(word) for word in WORDS} == {True, False}
