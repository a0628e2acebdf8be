# SPDX-License-Identifier: MIT
"""Before what whole classes feel the password is asked once more, on a page that carries what was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import httpx
import pytest

from labvirt.domain.caller import Caller, CallerKind, Grant
from labvirt.domain.person import CONFIRMED
from labvirt.domain.right import Right, Role
from labvirt.errors import MustConfirm, NotAllowed
from labvirt.usecases import garbage, labs, people, profiles, sessions, tokens, versions
from labvirt.web.ui.knock import Proxy
from labvirt.web.ui.once_more import FIELD

from .conftest import Site
from .lab import MovableClock
from .test_people import GOOD, signed_in
from .two_labs import furnish

LATER = CONFIRMED.total_seconds() + 1
BOSS = Grant(Role.ADMINISTRATOR)


@pytest.fixture(name="old")
def _old(serve: Callable[..., Site]) -> tuple[Site, httpx.Client]:
    """anna signed in some time ago, and the profile `spare` is there for her to take away."""
    clock = MovableClock()
    site = serve(clock=clock)
    profiles.clone(site.ports, "desktop", "spare")
    client = signed_in(site, "anna", BOSS)
    clock.move(LATER)
    return site, client


def names(site: Site) -> list[str]:
    return [each.name for each in profiles.everything(site.ports)]


def carried(page: str) -> dict[str, str]:
    """What the page would send again."""
    form = page.partition('action="/profiles/spare/do')[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)}


def test_it_is_done_at_once_with_the_password_and_nothing_is_typed_again(old: tuple[Site, httpx.Client]) -> None:
    site, client = old
    sent = {"do": "remove", "note": 'a "quoted" <note>'}
    asked = client.post("/profiles/spare/do", data=sent)
    assert (asked.status_code, "Your password once more" in asked.text) == (403, True)
    again = carried(asked.text)
    assert again == sent
    assert 'action="/profiles/spare/do' in asked.text
    wrong = client.post("/profiles/spare/do", data=again | {FIELD: "not my password"})
    assert (wrong.status_code, "This is not your password" in wrong.text) == (403, True)
    assert carried(wrong.text) == sent  # and not the password
    assert "spare" in names(site)
    assert client.post("/profiles/spare/do", data=again | {FIELD: GOOD}).status_code == 303
    assert "spare" not in names(site)
    assert client.post("/images/tiny/do", data={"do": "publish-this", "number": "1"}).status_code == 303  # and for ten minutes not again


def test_what_can_be_taken_back_asks_for_nothing(old: tuple[Site, httpx.Client]) -> None:
    site, client = old
    assert client.post("/profiles/desktop/do", data={"do": "clone", "new_name": "spare2"}).status_code == 303
    assert "spare2" in names(site)


def test_programs_and_whom_the_campus_vouches_for_are_not_asked(serve: Callable[..., Site]) -> None:
    site = serve()
    site.app.guard.proxy = Proxy.parse(("127.0.0.1",))
    ports = site.ports
    profiles.clone(ports, "desktop", "spare")
    profiles.clone(ports, "desktop", "spare2")
    people.add(ports, "anna", grants=(BOSS,))
    secret = tokens.add(ports, "night", person="anna", rights={Right.LOOK, Right.DESIGN}, days=1).secret
    assert site.client().delete("/api/v1/profiles/spare", headers={"Authorization": f"Bearer {secret}"}).status_code == 204
    campus = site.client(headers={"X-Remote-User": "anna"})
    assert campus.post("/profiles/spare2/do", data={"do": "remove"}).status_code == 303
    assert names(site) == ["desktop"]


def test_the_acts_that_ask(old: tuple[Site, httpx.Client]) -> None:
    site, _ = old
    furnish(site)
    with site.ports.database.read() as work:
        (sign_in,) = work.sign_ins.of("anna")
        person = work.people.one("anna")
    anna = site.ports.on_behalf_of(
        Caller(kind=CallerKind.PERSON, name="anna", person="anna", grants=person.grants, sign_in=sign_in.id, address="127.0.0.1")
    )
    for act in (
        lambda: profiles.remove(anna, "spare"),
        lambda: labs.remove(anna, "lab-a"),
        lambda: garbage.collect(anna, by="anna"),
        lambda: versions.publish(anna, "tiny", 1, by="anna"),
        lambda: sessions.publish(anna, "lab-a-disk.d1", by="anna"),
    ):
        with pytest.raises(MustConfirm):
            act()
    garbage.collect(anna, by="anna", dry_run=True)  # only says what it would take
    viewer = site.ports.on_behalf_of(replace(anna.caller, grants=(Grant(Role.VIEWER),)))
    with pytest.raises(NotAllowed, match="design"):  # the right comes first
        profiles.remove(viewer, "spare")
