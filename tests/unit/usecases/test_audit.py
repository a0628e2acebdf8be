# SPDX-License-Identifier: MIT
"""The audit as use cases write and read it: on whose behalf, who may read what, floods, proof, and the cut for age."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from labvirt.domain.audit import Outcome, Wanted
from labvirt.domain.caller import Caller, CallerKind, Grant
from labvirt.domain.right import Right, Role
from labvirt.domain.setting import Scope
from labvirt.errors import NotAllowed
from labvirt.usecases import audit, labs, settings, setup, sign_in
from labvirt.usecases.ports import Ports
from labvirt.usecases.settings import Level
from labvirt.usecases.sign_in import From
from tests.unit.usecases.conftest import Site

ANNA = Caller(kind=CallerKind.PERSON, name="anna", address="10.1.2.3", grants=(Grant(Role.LAB_MANAGER, "lab-a"),))
EVE = Caller(kind=CallerKind.TOKEN, name="eve", address="10.1.2.9")


def as_anna(site: Site) -> Ports:
    for name, network in (("lab-a", "10.77.0.0/24"), ("lab-b", "10.78.0.0/24")):
        labs.add(site.ports, name=name, network=labs.parse_network(network))
    return site.ports.on_behalf_of(ANNA)


def entries(ports: Ports, wanted: Wanted | None = None) -> list[tuple[str, str, str, str]]:
    page = audit.page(ports, wanted or Wanted(), count=1000)
    return [(each.who, each.verb, each.subject, str(each.outcome)) for each in page.entries]


def test_an_entry_says_on_whose_behalf_and_what_changed(empty_site: Site) -> None:
    ports = as_anna(empty_site)
    labs.change(ports, "lab-a", note="new")
    settings.change(ports, Level(scope=Scope.LAB, subject="lab-a"), "language", "es")
    newest, changed = audit.page(empty_site.ports, Wanted(), count=2).entries
    assert (changed.who, changed.kind, changed.address, changed.verb, changed.noun, changed.lab) == (
        *("anna", CallerKind.PERSON, "10.1.2.3", "change", "lab", "lab-a"),
    )
    assert (changed.before, changed.after) == ({"note": ""}, {"note": "new"})
    assert (newest.verb, newest.after) == ("set", {"language": "es"})


def test_who_may_read_a_lab_reads_what_belongs_to_it(empty_site: Site) -> None:
    ports = as_anna(empty_site)
    assert {subject for _, _, subject, _ in entries(ports)} == {"lab-a"}
    assert {"lab-a", "lab-b", "site"} <= {subject for _, _, subject, _ in entries(empty_site.ports)}
    assert entries(ports, Wanted(lab="lab-b")) == []
    with pytest.raises(NotAllowed):
        audit.verify(ports)
    with pytest.raises(NotAllowed):
        audit.page(empty_site.ports.on_behalf_of(EVE), Wanted())
    with pytest.raises(NotAllowed):
        audit.everything(empty_site.ports.on_behalf_of(EVE), Wanted())
    assert ("eve", "refuse", "the audit", "refused") in entries(empty_site.ports)


def test_a_flood_of_refusals_is_counted(empty_site: Site) -> None:
    eve, anna = empty_site.ports.on_behalf_of(EVE), empty_site.ports.on_behalf_of(ANNA)
    for _ in range(1000):
        audit.refused(eve, "labs.remove lab-a", Right.SITE, ())
    audit.refused(anna, "labs.remove lab-a", Right.SITE, ())
    refused = audit.page(empty_site.ports, Wanted(outcome=Outcome.REFUSED), count=1000).entries
    assert [each.who for each in refused] == ["anna", *["eve"] * 5], "who is quiet is not drowned by who is loud"
    empty_site.clock.go(61)
    found = audit.page(empty_site.ports, Wanted(outcome=Outcome.REFUSED), count=1000).entries
    assert (found[0].who, found[0].times) == ("eve", 995)
    assert len(found) == 7
    with empty_site.ports.floods.quiet():
        audit.refused(eve, "labs.remove lab-a", Right.SITE, ())
    assert len(audit.page(empty_site.ports, Wanted(outcome=Outcome.REFUSED), count=1000).entries) == 7


def test_a_wrong_code_at_the_door_is_told(empty_site: Site) -> None:
    code = setup.sign_in_code(empty_site.ports)
    with pytest.raises(NotAllowed):
        sign_in.by_code(empty_site.ports.on_behalf_of(EVE), "AAAAA-AAAAA-AAAAA", who=From(address="192.0.2.7"))
    sign_in.by_code(empty_site.ports.on_behalf_of(EVE), code, who=From(address="192.0.2.7"))
    told = [each for each in entries(empty_site.ports) if each[1] == "sign-in"]
    assert told == [("shell", "sign-in", "shell", "done"), ("eve", "sign-in", "site", "refused")]
    assert code not in json.dumps([audit.shape(each) for each in audit.everything(empty_site.ports, Wanted())])


def test_the_cut_for_age_keeps_the_chain(empty_site: Site) -> None:
    as_anna(empty_site)
    before = audit.verify(empty_site.ports)
    anchor = before.last, before.seal
    assert audit.cut(empty_site.ports, 365) == 0
    empty_site.clock.go(timedelta(days=400).total_seconds())
    assert audit.cut(empty_site.ports, 0) == 0
    assert audit.cut(empty_site.ports, 365) == before.entries - 1, "the newest stays"
    proof = audit.verify(empty_site.ports, anchor)
    assert proof.broken is None
    assert proof.stump is not None
    assert proof.stump.up_to == before.last - 1
    assert entries(empty_site.ports)[0][1] == "cut"


def test_an_anchor_finds_a_chain_that_was_made_anew_or_has_lost_its_end(empty_site: Site) -> None:
    as_anna(empty_site)
    proof = audit.verify(empty_site.ports)
    assert audit.verify(empty_site.ports, (proof.last, proof.seal)).broken is None
    anew = audit.verify(empty_site.ports, (proof.last, "0" * 64)).broken
    assert anew is not None
    assert "made anew" in anew.why
    lost = audit.verify(empty_site.ports, (proof.last + 3, proof.seal)).broken
    assert lost is not None
    assert "missing" in lost.why


def test_a_spreadsheet_gets_no_formula(empty_site: Site) -> None:
    ports = empty_site.ports
    with ports.database.write() as work:
        for text in ("=1+1", "+1", "-1", "@x", "plain"):
            ports.note(work, text, text)
        work.commit()
    rows = "".join(audit.as_csv(audit.everything(ports, Wanted(verb="note"))))
    for text in ("=1+1", "+1", "-1", "@x"):
        assert f",'{text}," in rows
        assert f",{text}," not in rows
    assert ",plain," in rows
