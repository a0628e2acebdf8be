# SPDX-License-Identifier: MIT
"""What a terminal hears, for every state of its guest; and what its viewer is started with."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labvirt.domain.addresses import AddressPlan, MacAddress
from labvirt.domain.answer import Answer, Status, for_stranger, for_terminal
from labvirt.domain.guest import Guest, GuestState, Wish
from labvirt.domain.host import GUEST_OVERHEAD_MIB, Host, HostLoad, full
from labvirt.domain.image import Stage, Version
from labvirt.domain.lab import DhcpMode, Lab
from labvirt.domain.lease import Lease, owner
from labvirt.domain.profile import Bus, Profile, Protocol, Slot, SlotKind
from labvirt.domain.terminal import Stranger, Terminal
from labvirt.domain.terminal_class import BUILT_IN, KNOWN, PROGRAMS, TerminalClass, check_parameter
from labvirt.errors import InvalidInput

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LAB = Lab(name="lab-a", block=0, network=AddressPlan(IPv4Network("10.77.0.0/24")), max_instances=8)
TERMINAL = Terminal(name="pc-01", lab="lab-a", seat=7)
GUEST = Guest(name="lab-a-07", lab="lab-a", seat=7, wish=Wish.RUNNING, generation=1, state=GuestState.WANTED, since=NOW)
PROFILE = Profile(name="desk", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.VIRTIO, image="tiny"),))
SPICE, RDP, RDESKTOP = BUILT_IN


def answer(guest: Guest | None = GUEST, terminal: Terminal = TERMINAL, refusal: str = "") -> Answer:
    return for_terminal(terminal=terminal, lab=LAB, terminal_class=SPICE, guest=guest, profile=PROFILE, refusal=refusal)


@pytest.mark.parametrize("wish", Wish)
@pytest.mark.parametrize("state", GuestState)
def test_every_state_has_a_sentence_and_only_ready_ones_a_viewer(state: GuestState, wish: Wish) -> None:
    told = answer(replace(GUEST, state=state, wish=wish, reason="why"))
    assert told.message.endswith((".", "?"))
    assert (told.viewer is not None) is (told.status is Status.READY)
    assert (told.status is Status.READY) is replace(GUEST, state=state, wish=wish).ready
    assert (told.help_code is None) is (told.status is Status.READY)
    assert (told.retry_seconds is None) is (told.status is Status.READY)
    assert told.guest == "lab-a-07"
    if told.status is Status.STARTING:
        assert told.waits_for
        assert not told.status.final
    if wish is Wish.STOPPED and state not in (GuestState.STOPPED, GuestState.FAILED, GuestState.PAUSED, GuestState.SILENT):
        assert "stopped" in told.message


def test_who_asks_from_another_address_of_the_lab_is_told_its_own() -> None:
    own = LAB.network.terminal(7)
    known = replace(TERMINAL, mac=MacAddress(1))

    def renew(source: str | None, terminal: Terminal = known, lab: Lab = LAB) -> IPv4Address | None:
        given = None if source is None else IPv4Address(source)
        return for_terminal(terminal=terminal, lab=lab, terminal_class=SPICE, guest=GUEST, profile=PROFILE, source=given).renew

    assert renew(str(LAB.network.quarantine[0])) == own
    assert renew(str(LAB.network.terminal(6))) == own  # it had that seat when it got its lease
    for right in (str(own), "10.77.0.1", "192.168.1.1", None):
        assert renew(right) is None
    campus = replace(LAB, dhcp=DhcpMode.PROXY)
    for terminal, lab in ((TERMINAL, LAB), (known, campus)):
        assert renew(str(LAB.network.quarantine[0]), terminal, lab) is None


def test_the_answers_of_the_protocol_page() -> None:
    assert answer(None).status is Status.STARTING
    assert answer(replace(GUEST, reason="full: memory")).help_code == "LV-FULL-07"
    assert answer(replace(GUEST, reason="full: memory")).waits_for == "memory"
    assert answer(terminal=replace(TERMINAL, active=False)).status is Status.INACTIVE
    assert "no profile" in answer(refusal="there is no profile").message
    stranger = Stranger(id="x", code="ABCDEF", mac=None, address=None, first_seen=NOW, last_seen=NOW)
    assert for_stranger(stranger).enrolment_code == "ABCDEF"
    assert for_stranger(stranger).status.final


def test_no_answer_has_a_place_for_a_secret() -> None:
    assert not {field.name for field in fields(Answer)} & {"password", "ticket", "token", "key"}
    ready = answer(replace(GUEST, state=GuestState.RUNNING))
    assert ready.viewer is not None
    assert ready.viewer.secret is True


def test_rdp_goes_to_the_guest_and_spice_to_the_gateway() -> None:
    running = replace(GUEST, state=GuestState.RUNNING)
    spice = answer(running).viewer
    assert spice is not None
    assert (str(spice.address), spice.port, spice.subject) == ("10.77.0.1", 20007, "CN=lab-a-07")
    profile = replace(PROFILE, protocol=Protocol.RDP, user="a b; $(x) \"'")
    rdp = for_terminal(terminal=TERMINAL, lab=LAB, terminal_class=RDP, guest=running, profile=profile).viewer
    assert rdp is not None
    assert (str(rdp.address), rdp.port, rdp.subject, rdp.secret) == ("10.77.0.135", 3389, None, True)
    assert rdp.arguments == ("/v:10.77.0.135:3389", "/u:a b; $(x) \"'", "+clipboard")
    nobody = TerminalClass(name="own", program="xfreerdp", template="/v:%ADDRESS%")
    asked_inside = replace(profile, user=None)
    bare = for_terminal(terminal=TERMINAL, lab=LAB, terminal_class=nobody, guest=running, profile=asked_inside).viewer
    assert bare is not None
    assert not bare.secret  # nobody's password is minted: whoever sits there tells the guest who he is


def test_missing_parameters_are_all_named_and_own_values_win_over_defaults() -> None:
    each = TerminalClass(name="x", program="xfreerdp", template="%A% /x:%B%%C% %VV% %RDP% %ADDRESS%", defaults=(("B", "default"),))
    assert each.arguments({"ADDRESS": "1"}, {"A": "a", "C": "%ADDRESS%"}) == ("a", "/x:default%ADDRESS%", "%VV%", "%RDP%", "1")
    with pytest.raises(InvalidInput, match="%A%, %C%"):
        each.arguments({"ADDRESS": "1"}, {})
    assert each.arguments({"ADDRESS": "1"}, {"A": "", "B": "own", "C": "", "ADDRESS": "forged"})[-1] == "1"


@given(st.text(max_size=60).filter(str.isprintable), st.lists(st.text("ab%AX /", max_size=8), max_size=6))
def test_a_value_never_becomes_two_arguments(value: str, words: list[str]) -> None:
    template = " ".join([*words, "%X%"])
    each = TerminalClass(name="x", program="rdesktop", template=template)
    own = dict.fromkeys(("X", "A", "AX", "XA", "AA", "XX"), value)
    try:
        arguments = each.arguments({}, own)
    except InvalidInput as error:
        assert error.field == "parameters"  # noqa: PT017 - refused or filled in, both are right
        return
    assert len(arguments) == len(template.split())
    assert value in arguments[-1]


@pytest.mark.parametrize(
    "change",
    [
        {"program": "sh"},
        {"program": "/usr/bin/xfreerdp"},
        {"template": "x" * 1001},
        {"template": "a\nb"},
        {"name": "../x"},
        {"defaults": (("PORT", "1"),)},
    ],
)
def test_classes_that_cannot_be(change: dict[str, object]) -> None:
    assert {each.program for each in BUILT_IN} <= set(PROGRAMS)
    with pytest.raises(InvalidInput):
        replace(RDESKTOP, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name, value",
    [
        ("lower", "x"),
        ("", "x"),
        ("A" * 33, "x"),
        ("A-B", "x"),
        ("VV", "x"),
        *((known, "x") for known in sorted(KNOWN)),
        ("A", "x" * 201),
        ("A", "a\nb"),
    ],
)
def test_parameters_that_cannot_be(name: str, value: str) -> None:
    assert check_parameter("A_1", "x y") == ("A_1", "x y")
    with pytest.raises(InvalidInput, match="parameters"):
        check_parameter(name, value)


def test_a_lease_is_believed_only_when_it_lives_and_nobody_else_claims_it() -> None:
    one, two = MacAddress(0x020000000001), MacAddress(0x020000000002)
    address = IPv4Address("10.77.0.65")

    def lease(mac: MacAddress, seconds: float | None, where: IPv4Address = address) -> Lease:
        expires = None if seconds is None else NOW + timedelta(seconds=seconds)
        return Lease(lab="lab-a", mac=mac, address=where, name=None, expires=expires)

    assert owner([lease(one, 1)], address, NOW) == one
    assert owner([lease(one, None), lease(one, 5)], address, NOW) == one
    assert owner([lease(one, 0)], address, NOW) is None
    assert owner([lease(one, 1), lease(two, 1)], address, NOW) is None
    assert owner([lease(one, 1), lease(two, -1)], address, NOW) == one
    assert owner([lease(one, 1, address + 1)], address, NOW) is None
    assert owner([], address, NOW) is None


HOST = Host(name="here", memory_reserve_mib=512, disk_reserve_mib=1024, max_guests=4)


def load(memory: int, disk: int = 5000) -> HostLoad:
    return HostLoad(memory_total_mib=8000, memory_available_mib=memory, cpus=2, disk_free_mib=disk)


def test_a_host_is_full_exactly_at_its_bounds() -> None:
    need = 512 + 100 + GUEST_OVERHEAD_MIB + 64
    assert full(HOST, load(need), 0, 100, 64) == ""
    assert "memory" in full(HOST, load(need - 1), 0, 100, 64)
    assert "0 MiB" in full(HOST, load(10), 0, 100, 64)
    assert full(HOST, load(need, 1024), 3, 100, 64) == ""
    assert "disk" in full(HOST, load(need, 1023), 3, 100, 64)
    assert "4 guests" in full(HOST, load(need), 4, 100, 64)
    assert "no new guests" in full(replace(HOST, in_service=False), load(need), 0, 100, 64)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0},
        {"format": "vmdk"},
        {"sha256": "z" * 64},
        {"sha256": "0" * 63},
        {"file": "/etc/passwd"},
        {"file": "a/../../b"},
        {"image": "../x"},
    ],
)
def test_versions_that_cannot_be(change: dict[str, object]) -> None:
    from pathlib import PurePosixPath

    version = Version(
        image="tiny",
        number=1,
        file=PurePosixPath("tiny/v1.qcow2"),
        format="qcow2",
        size_bytes=1,
        virtual_bytes=1,
        sha256="0" * 64,
        stage=Stage.DRAFT,
        made_at=NOW,
    )
    assert version.label == "tiny v1"
    if "file" in change:
        change = {"file": PurePosixPath(str(change["file"]))}
    with pytest.raises(InvalidInput):
        replace(version, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"name": "PC"}, {"lab": ""}, {"seat": 0}, {"seat": 4080}, {"terminal_class": "a b"}, {"inventory_id": "a b"}, {"inventory_id": ""}],
)
def test_terminals_that_cannot_be(change: dict[str, object]) -> None:
    replace(TERMINAL, seat=4079, inventory_id="$(x)/../;")
    with pytest.raises(InvalidInput) as caught:
        replace(TERMINAL, **change)  # type: ignore[arg-type]
    assert caught.value.field in change
