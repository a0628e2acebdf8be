# SPDX-License-Identifier: MIT
"""Routes that are about any lab (Scope.ANYWHERE), acted upon by every role: in its own lab, in a foreign one, and everywhere. They answer
with a page to go on with, whatever came of it, so what counts is what is there afterwards.
"""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from labvirt.domain.addresses import MacAddress
from labvirt.domain.caller import Grant
from labvirt.domain.right import Right, Role
from labvirt.usecases import enrol, labs, terminals

from .conftest import Site
from .test_matrix import FOREIGN, OWN, browser

CASES = [(OWN, OWN), (OWN, FOREIGN), (None, OWN), (None, FOREIGN)]
"""(where the role is granted, which lab is acted upon)"""


@pytest.fixture(name="both")
def _both(site: Site) -> Site:
    """lab-a and lab-b, with a terminal at least in each."""
    labs.add(site.ports, name=FOREIGN, network=labs.parse_network("10.78.0.0/24"), max_instances=8)
    terminals.add(site.ports, lab=FOREIGN, seat=1, name=f"{FOREIGN}-t01")
    return site


def knock(site: Site, number: int) -> str:
    """A stranger asked; its code."""
    mac = MacAddress(0x525400CC0000 + number)
    site.client().get("/terminals/config", params={"id": str(mac), "wait": "0"})
    return next(each.code for each in enrol.strangers(site.ports) if each.mac == mac)


def names(site: Site) -> set[str]:
    return {each.name for each in terminals.everything(site.ports)}


@pytest.mark.parametrize("role", Role)
def test_who_may_keep_seats_adopts_into_that_lab_only(both: Site, role: Role) -> None:
    clients = {OWN: browser(both, role, OWN), None: browser(both, role, None)}
    for number, (granted, lab) in enumerate(CASES, 1):
        code, name = knock(both, number), f"new-{number}"
        clients[granted].post("/inbox/adopt", data={"code": code, "lab": lab, "name": name, "do": "adopt"})
        assert (name in names(both)) == Grant(role, granted).gives(Right.SEATS, lab), (granted, lab)


@pytest.mark.parametrize("role", Role)
def test_who_may_keep_seats_replaces_a_pc_of_that_lab_only(both: Site, role: Role) -> None:
    clients = {OWN: browser(both, role, OWN), None: browser(both, role, None)}
    for number, (granted, lab) in enumerate(CASES, 1):
        code, before = knock(both, number), terminals.one(both.ports, f"{lab}-t01")
        clients[granted].post("/inbox/adopt", data={"code": code, "terminal": before.name, "do": "replace"})
        after = terminals.one(both.ports, before.name)
        assert (after.mac == MacAddress(0x525400CC0000 + number)) == Grant(role, granted).gives(Right.SEATS, lab), (granted, lab)
        assert after.seat == before.seat


@pytest.mark.parametrize("role", Role)
def test_who_may_keep_seats_takes_a_list_into_that_lab_only(both: Site, role: Role) -> None:
    clients = {OWN: browser(both, role, OWN), None: browser(both, role, None)}
    for number, (granted, lab) in enumerate(CASES, 1):
        text = f"mac,lab,name\n52:54:00:dd:00:0{number},{lab},listed-{number}\n"
        allowed = Grant(role, granted).gives(Right.SEATS, lab)
        looked = clients[granted].post("/inbox/list", data={"list": text, "do": "look"})
        assert f"listed-{number}" not in names(both)  # only looked at
        assert ("Add 1 terminal" in looked.text) == allowed, (granted, lab)
        clients[granted].post("/inbox/list", data={"list": text, "do": "take"})
        assert (f"listed-{number}" in names(both)) == allowed, (granted, lab)


@pytest.mark.parametrize("role", Role)
def test_who_may_keep_seats_switches_off_a_terminal_of_that_lab_only(both: Site, role: Role) -> None:
    clients = {OWN: browser(both, role, OWN), None: browser(both, role, None)}
    for granted, lab in CASES:
        name = f"{lab}-t01"
        terminals.change(both.ports, name, active=True)
        clients[granted].post("/inbox/change", data={"name": name, "do": "off"})
        assert terminals.one(both.ports, name).active != Grant(role, granted).gives(Right.SEATS, lab), (granted, lab)


@pytest.mark.parametrize("role", Role)
def test_lists_and_search_name_no_terminal_of_a_foreign_lab(both: Site, role: Role) -> None:
    here, everywhere = browser(both, role, OWN), browser(both, role, None)
    for path in ("/inbox", "/search/found?q=t01", "/mine", "/plant"):
        assert f"{FOREIGN}-t01" not in here.get(path).text, path
        assert FOREIGN not in here.get(path).text, path
    assert f"{FOREIGN}-t01" in everywhere.get("/inbox").text  # the positive control


def test_a_stranger_in_a_foreign_network_is_not_ones_own_in_any_spelling(both: Site) -> None:
    here, boss = browser(both, Role.HELP_DESK, OWN), browser(both, Role.HELP_DESK, None)
    mac = MacAddress(0x525400CC0009)
    code = enrol.meet(both.ports, id=str(mac), mac=mac, address=IPv4Address("10.78.0.9")).code
    spellings = (code, code.lower(), f"{code[:3]}-{code[3:]}", str(mac), str(mac).upper().replace(":", "-"))
    for spelling in spellings:
        for act in ({"do": "dismiss"}, {"do": "adopt", "lab": OWN}, {"do": "replace", "terminal": f"{OWN}-t01"}):
            here.post("/inbox/adopt", data={"code": spelling, **act})
        assert [each.code for each in enrol.strangers(both.ports)] == [code], spelling
    boss.post("/inbox/adopt", data={"code": spellings[-1], "do": "adopt", "lab": OWN})
    assert enrol.strangers(both.ports) == ()  # the positive control
