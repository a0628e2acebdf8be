# SPDX-License-Identifier: MIT
"""Setting up, labs, terminals, the inbox, profiles, images, hosts: what administrators write."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.domain.guest import GuestState
from labvirt.domain.profile import Bus, Profile, Slot, SlotKind
from labvirt.errors import AlreadyExists, Conflict, Exhausted, InUse, InvalidInput, NotAllowed, NotFound
from labvirt.usecases import asking, classes, enrol, hosts, labs, power, profiles, setup, terminals
from tests.unit.usecases.conftest import MAC, OWN, Site

OTHER = MacAddress.parse("52:54:00:00:00:02")


def test_init_is_done_once_and_its_code_opens_once(empty_site: Site) -> None:
    ports = empty_site.ports
    assert setup.is_done(ports)
    assert [host.name for host in hosts.everything(ports)] == ["here"]
    assert {each.name for each in classes.everything(ports)} == {"spice", "rdp", "rdesktop"}
    with pytest.raises(Conflict, match="set up already"):
        setup.init(ports, host="elsewhere")
    code = setup.init(ports, host="elsewhere", again=True)
    assert [host.name for host in hosts.everything(ports)] == ["here"]
    with ports.database.read() as work:
        assert code not in str(work.facts.get(setup.CODE_FACT))
    for wrong in ("", "AAAAA-AAAAA-AAAAA", code[:-1], "ä" * 15):
        with pytest.raises(NotAllowed):
            setup.known(ports, wrong)
    good = setup.known(ports, f" {code.lower()} ")
    assert good.first
    with ports.database.write() as work:
        setup.spend(work, good)
        work.commit()
    with pytest.raises(NotAllowed):
        setup.known(ports, code)
    with ports.database.write() as work, pytest.raises(NotAllowed):
        setup.spend(work, good)


def test_a_sign_in_code_expires(empty_site: Site) -> None:
    ports = empty_site.ports
    late, good = setup.sign_in_code(ports), ""
    empty_site.clock.go(setup.SIGN_IN_MINUTES * 60)
    with pytest.raises(NotAllowed):
        setup.known(ports, late)
    good = setup.sign_in_code(ports)
    assert not setup.known(ports, good).first


def test_no_set_up_code_once_there_is_an_account(empty_site: Site) -> None:
    ports = empty_site.ports
    code = setup.init(ports, host="here", again=True)
    with ports.database.write() as work:
        work.facts.put(setup.USERS_FACT, "yes")
        work.commit()
    with pytest.raises(NotAllowed):
        setup.known(ports, code)
    with pytest.raises(Conflict, match="account"):
        setup.init(ports, host="here", again=True)


def test_labs_do_not_overlap_and_get_a_block_each(site: Site) -> None:
    ports = site.ports
    assert labs.add(ports, name="lab-b", network=labs.parse_network("10.77.1.0/24")).block == 1
    with pytest.raises(AlreadyExists, match=r"10\.77\.0\.0/24") as caught:
        labs.add(ports, name="lab-c", network=labs.parse_network("10.77.0.0/24"))
    assert "lab-a" in caught.value.hint
    for overlapping in ("10.77.0.0/22", "10.77.1.128/25"):
        with pytest.raises(InvalidInput, match="overlaps"):
            labs.add(ports, name="lab-c", network=labs.parse_network(overlapping))
    with pytest.raises(AlreadyExists, match="lab-a"):
        labs.add(ports, name="lab-a", network=labs.parse_network("10.78.0.0/24"))
    labs.remove(ports, "lab-b")
    assert labs.add(ports, name="lab-c", network=labs.parse_network("10.77.1.0/24")).block == 1
    assert site.history("lab-c") == ["added with the network 10.77.1.0/24"]


@pytest.mark.parametrize("text", ["10.77.0.1/24", "300.1.1.1/24", "10.77.0.0/8", "8.8.8.0/24", "fe80::/64", "", "x" * 300])
def test_a_bad_network_is_refused(text: str) -> None:
    assert labs.parse_network("10.77.0.0/24").capacity == 63
    with pytest.raises(InvalidInput, match="network"):
        labs.parse_network(text)


def test_a_lab_in_use_keeps_its_network_and_cannot_go(site: Site) -> None:
    ports = site.ports
    labs.change(ports, "lab-a", network=labs.parse_network("10.79.0.0/24"), note="moved\nby me")
    assert labs.one(ports, "lab-a").note == "moved by me"
    power.start(ports, "pc-01")
    site.move(GuestState.RUNNING)
    with pytest.raises(InUse, match="lab-a-01"):
        labs.change(ports, "lab-a", network=labs.parse_network("10.80.0.0/24"))
    with pytest.raises(InUse, match="lab-a-01"):
        labs.remove(ports, "lab-a")
    with pytest.raises(InUse, match="lab-a-01"):
        terminals.remove(ports, "pc-01")
    with pytest.raises(InUse, match="lab-a-01"):
        terminals.change(ports, "pc-01", seat=5)
    assert terminals.change(ports, "pc-01", note="x").note == "x"
    site.move(GuestState.STOPPED)
    with pytest.raises(InUse, match="pc-01"):
        labs.remove(ports, "lab-a")
    terminals.remove(ports, "pc-01")
    labs.remove(ports, "lab-a")
    assert power.guests(ports) == ()


def test_a_lab_cannot_shrink_below_its_terminals(site: Site) -> None:
    terminals.change(site.ports, "pc-01", seat=8)
    terminals.add(site.ports, lab="lab-a", name="far", seat=40)
    with pytest.raises(Exhausted, match="Seat 40"):
        labs.change(site.ports, "lab-a", network=labs.parse_network("10.77.0.0/26"))
    terminals.remove(site.ports, "far")
    assert labs.change(site.ports, "lab-a", network=labs.parse_network("10.77.0.0/26")).network.capacity == 14


def test_two_terminals_never_share_mac_seat_or_id(site: Site) -> None:
    ports = site.ports
    terminals.change(ports, "pc-01", inventory_id="inv-1")
    for collision, word in (
        ({"mac": MAC}, "MAC"),
        ({"seat": 1}, "seat"),
        ({"inventory_id": "inv-1"}, "inventory"),
        ({"name": "pc-01"}, "pc-01"),
    ):
        with pytest.raises(AlreadyExists, match=word) as caught:
            terminals.add(ports, lab="lab-a", **{"name": "pc-02", **collision})  # type: ignore[arg-type]
        assert "pc-01" in str(caught.value) + caught.value.hint
    assert len(terminals.everything(ports)) == 1
    terminals.add(ports, lab="lab-a", name="pc-02", mac=OTHER, inventory_id="inv-2")
    with pytest.raises(AlreadyExists, match="MAC"):
        terminals.change(ports, "pc-02", mac=MAC)


def test_a_terminals_mac_is_not_a_guests(site: Site) -> None:
    with pytest.raises(InvalidInput, match=r"mac: .*guests"):
        terminals.add(site.ports, lab="lab-a", mac=MacAddress.parse("02:4c:56:00:00:05"))
    terminals.add(site.ports, lab="lab-a", mac=MacAddress.parse("02:4c:57:00:00:05"))
    with pytest.raises(InvalidInput, match="mac_prefix"):
        labs.add(site.ports, name="lab-b", network=labs.parse_network("10.78.0.0/24"), mac_prefix=0x024C57)


def test_what_a_terminal_names_must_exist(site: Site) -> None:
    for wrong in ({"terminal_class": "none"}, {"profile": "none"}):
        with pytest.raises(NotFound, match="none"):
            terminals.change(site.ports, "pc-01", **wrong)
    with pytest.raises(NotFound, match="lab-x"):
        terminals.add(site.ports, lab="lab-x")
    with pytest.raises(InvalidInput, match="parameters"):
        terminals.change(site.ports, "pc-01", parameters=(("ADDRESS", "1.2.3.4"),))
    assert terminals.change(site.ports, "pc-01", profile="desk", parameters=(("DOMAIN", "x"),)).profile == "desk"
    with pytest.raises(InUse, match="pc-01"):
        profiles.remove(site.ports, "desk")


def test_seats_are_given_from_the_lowest_and_run_out(site: Site) -> None:
    labs.change(site.ports, "lab-a", max_instances=3)
    terminals.add(site.ports, lab="lab-a", seat=3)
    assert terminals.add(site.ports, lab="lab-a").seat == 2
    with pytest.raises(Exhausted, match="All 3 seats"):
        terminals.add(site.ports, lab="lab-a")
    with pytest.raises(Exhausted, match="Seat 64"):
        terminals.add(site.ports, lab="lab-a", seat=64)


def test_the_inbox(site: Site) -> None:
    ports = site.ports
    for number in range(3):
        asking.ask(ports, f"thin-{number}", IPv4Address(f"10.77.0.{20 + number}"))
        site.clock.go(1)
    assert [s.id for s in enrol.strangers(ports)] == ["thin-2", "thin-1", "thin-0"]
    code = enrol.strangers(ports)[0].code
    adopted = enrol.adopt(ports, code.lower(), lab="lab-a", name="thin", terminal_class="rdp")
    assert (adopted.inventory_id, adopted.mac, adopted.seat) == ("thin-2", None, 2)
    assert asking.ask(ports, "thin-2", None).terminal == adopted
    for gone in (code, "thin-2", "ZZZZZZ"):
        with pytest.raises(NotFound):
            enrol.adopt(ports, gone, lab="lab-a")
    with pytest.raises(AlreadyExists, match="seat"):
        enrol.adopt(ports, "thin-1", lab="lab-a", seat=1)
    assert len(enrol.strangers(ports)) == 2
    enrol.dismiss(ports, "thin-1")
    assert [s.id for s in enrol.strangers(ports)] == ["thin-0"]


def test_a_long_labs_terminals_still_get_a_name(site: Site) -> None:
    name = "a" + "-b" * 15 + "c"
    labs.add(site.ports, name=name, network=labs.parse_network("10.78.0.0/24"))
    added = terminals.add(site.ports, lab=name, mac=OTHER)
    assert len(added.name) <= 32
    assert added.name.endswith("-t01")
    assert asking.ask(site.ports, str(OTHER), None).answer.guest == f"{name}-01"


def test_profiles_are_cloned_inactive_and_go_when_nobody_runs_them(site: Site) -> None:
    ports = site.ports
    copy = profiles.clone(ports, "desk", "desk-2")
    assert (copy.active, copy.slots) == (False, profiles.one(ports, "desk").slots)
    with pytest.raises(AlreadyExists):
        profiles.clone(ports, "desk", "desk-2")
    with pytest.raises(NotFound, match="tiny:7"):
        profiles.change(ports, "desk-2", slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="tiny", version=7),))
    with pytest.raises(NotFound, match=r"image.*other"):
        profiles.add(ports, Profile(name="p", memory_mib=64, slots=(Slot(kind=SlotKind.DISK, bus=Bus.SATA, image="other"),)))
    with pytest.raises(NotFound, match="lab-x"):
        profiles.change(ports, "desk-2", labs=frozenset({"lab-x"}))
    profiles.change(ports, "desk-2", labs=frozenset({"lab-a"}))
    power.start(ports, "pc-01")
    site.move(GuestState.RUNNING)
    with pytest.raises(InUse, match="lab-a-01"):
        profiles.remove(ports, "desk")
    site.move(GuestState.STOPPED)
    profiles.remove(ports, "desk")
    guest = site.guest()
    assert guest is not None
    assert guest.profile is None
    terminals.remove(ports, "pc-01")
    with pytest.raises(InUse, match="desk-2"):
        labs.remove(ports, "lab-a")


def test_hosts_have_bounds(site: Site) -> None:
    assert hosts.change(site.ports, "here", max_guests=3, in_service=False).max_guests == 3
    with pytest.raises(InvalidInput, match="max_guests"):
        hosts.change(site.ports, "here", max_guests=-1)
    with pytest.raises(NotFound):
        hosts.change(site.ports, "there", max_guests=1)


def test_an_adopted_terminal_asks_from_its_old_quarantine_address(site: Site) -> None:
    old = IPv4Address("10.77.0.20")
    asking.ask(site.ports, str(OTHER), old)
    adopted = enrol.adopt(site.ports, str(OTHER), lab="lab-a")
    assert asking.ask(site.ports, str(OTHER), old).terminal == adopted
    assert not any("second machine" in line for line in site.history(adopted.name))
    assert asking.ask(site.ports, None, OWN).terminal is not None
