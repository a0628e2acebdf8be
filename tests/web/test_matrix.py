# SPDX-License-Identifier: MIT
"""Every route x every role x own and foreign lab, from the application's own map of addresses. What is to be expected is computed from
labvirt/web/ui/routes.py and the table of roles: a new route joins by its line there, and by an address here when it needs a special one.

Each refusal has its positive control: the same request by somebody who may.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import httpx
import pytest
from flask import Flask

from labvirt.domain.caller import Grant
from labvirt.domain.guest import GuestState, RunId
from labvirt.domain.person import Person
from labvirt.domain.right import RIGHTS, Right, Role
from labvirt.usecases import labs, people, sign_in, terminals, tokens
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE
from labvirt.web.ui.routes import PASSIVE, ROUTES, Access, Scope, check_declared

from .conftest import Site
from .lab import guest, put

OWN, FOREIGN = "lab-a", "lab-b"
NAMES: Mapping[str, str] = {"lab": "{lab}", "guest": "{lab}-01", "filename": "labvirt.css", "id": "0" * 32}
"""What stands in an address for a variable of a route."""
ADDRESSES: Mapping[str, str] = {
    "pages.terminal": "/terminal/{lab}-t01",
    "pages.terminal_power": "/terminal/{lab}-t01/power",
    "people.one": "/people/anna",
    "people.change": "/people/anna",
    "people.change_group": "/people/groups/nobodys",
    "settings.page": "/settings?level=lab:{lab}",
    "seat.page": "/seats/{lab}-01",
    "seat.now": "/seats/{lab}-01/now",
    "seat.act": "/seats/{lab}-01/act",
    "hosts.service": "/hosts/here/service",
}
"""Routes whose variables are called `name`."""
FORMS: Mapping[str, Mapping[str, str]] = {
    "settings.change": {"level": "lab:{lab}", "key": "language", "value": "es"},
    "pages.terminal_power": {"do": "restart"},
    "pages.lab_power_deed": {"do": "restart"},
    "uploads.begin": {"name": "new", "format": "raw", "size": "1"},
    "consoles.buy": {"guest": "{lab}-01", "view_only": "on"},
    "tell.tell": {"minutes": "5", "sentence": "hello"},
    "labmap.place": {"seat": "1", "room": "", "x": "1", "y": "1"},
    "labmap.room": {"room": "Room 12", "columns": "4", "rows": "4"},
    "labmap.plan": {"do": "start", "seats": "1"},
    "labmap.act": {"do": "start", "seats": "1"},
    "seat.act": {"do": "start"},
    "images.blank": {"name": "empty", "gib": "1"},
    "welcome.lab": {"name": "lab-c", "network": "10.79.0.0/24"},
}
"""What a writing route is sent, so that it would really do it."""


def rules(flask: Flask) -> Iterator[tuple[str, str, str]]:
    """(endpoint, method, address with {lab}) of every route but those that are open."""
    for rule in flask.url_map.iter_rules():
        if rule.endpoint.startswith("api."):
            continue  # tests/api/test_roles.py
        address = ADDRESSES.get(rule.endpoint, rule.rule)
        for name in rule.arguments:
            address = address.replace(f"<{name}>", NAMES.get(name, "{lab}")).replace(f"<path:{name}>", NAMES.get(name, "{lab}"))
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if ROUTES[rule.endpoint].right is not None and rule.endpoint != "pages.leave":
                yield rule.endpoint, method, address


def may(access: Access, role: Role, granted: str | None, asked: str) -> bool:
    """Is somebody with this role (in `granted`, None: everywhere) let in at a route that is about `asked`?"""
    assert access.right is not None
    if access.scope is Scope.OWN:
        return True
    grant = Grant(role, granted)
    if access.scope is Scope.SITE:
        return grant.gives(access.right, None)
    return grant.gives(access.right, asked)


@pytest.fixture
def two(site: Site) -> Site:
    """lab-a and lab-b, each with a terminal and a running guest."""
    labs.add(site.ports, name=FOREIGN, network=labs.parse_network("10.78.0.0/24"), max_instances=8)
    terminals.add(site.ports, lab=FOREIGN, seat=1, name=f"{FOREIGN}-t01")
    now = site.ports.clock.now()
    one = guest(1, GuestState.RUNNING, now)
    other = replace(one, name=f"{FOREIGN}-01", lab=FOREIGN, terminal=f"{FOREIGN}-t01", run=RunId(f"{FOREIGN}-01", 1))
    put(site.ports, site.engine, one, other)
    people.add(site.ports, "anna")
    return site


def somebody(site: Site, role: Role, lab: str | None) -> str:
    """A person with this role; also an administrator of one lab, whom nobody can make."""
    name = f"{role}-{lab or 'everywhere'}"
    with site.ports.database.write() as work:
        work.people.add(Person(name=name, made_at=site.ports.clock.now(), own=(Grant(role, lab),)))
        work.commit()
    return name


def browser(site: Site, role: Role, lab: str | None) -> httpx.Client:
    """A browser of somebody with this role."""
    name = somebody(site, role, lab)
    people.set_password(site.ports, name, "four words in a row")
    opened = sign_in.with_password(site.ports, name, "four words in a row", who=From(address=f"192.0.2.{len(name)}"))
    return site.client(cookies={COOKIE: opened.token}, headers={"Accept": "application/json"})


def program(site: Site, role: Role, lab: str | None) -> httpx.Client:
    """A program of somebody with this role."""
    secret = tokens.add(site.ports, "matrix", person=somebody(site, role, lab)).secret
    return site.client(headers={"Authorization": f"Bearer {secret}", "Accept": "application/json"})


ACCOUNT_ONLY = frozenset(endpoint for endpoint, access in ROUTES.items() if access.scope is Scope.OWN)
"""For browsers of people: programs are refused there."""


@pytest.mark.parametrize("role", Role)
def test_every_route_for_every_role_in_its_own_and_a_foreign_lab(two: Site, role: Role) -> None:
    here, everywhere = browser(two, role, OWN), browser(two, role, None)
    seen, wrong = set(), []
    for endpoint, method, address in sorted(rules(two.app.flask)):
        access = ROUTES[endpoint]
        if endpoint in ACCOUNT_ONLY or access.scope is Scope.ANYWHERE:
            continue
        seen.add(endpoint)
        form = {key: value.format(lab=OWN) for key, value in FORMS.get(endpoint, {}).items()}
        foreign_form = {key: value.format(lab=FOREIGN) for key, value in FORMS.get(endpoint, {}).items()}
        for client, granted, lab, data in (
            (here, OWN, OWN, form),
            (here, OWN, FOREIGN, foreign_form),
            (everywhere, None, OWN, form),
            (everywhere, None, FOREIGN, foreign_form),
        ):
            answer = client.request(method, address.format(lab=lab), data=data if method == "POST" else None)
            refused = {403} if access.scope is Scope.SITE else {403, 404}  # whose lab one may not see is not there
            let_in = answer.status_code not in {401, *refused}
            if let_in != may(access, role, granted, lab):
                wrong.append((endpoint, method, granted or "everywhere", lab, answer.status_code, answer.text[:200]))
    assert wrong == []
    assert len(seen) > 15


@pytest.mark.parametrize("role", Role)
def test_the_first_page_shows_ones_own_lab_only(two: Site, role: Role) -> None:
    here, everywhere = program(two, role, OWN), program(two, role, None)
    for path in ("/", "/labs"):
        assert f'id="lab-{OWN}"' in here.get(path).text
        assert FOREIGN not in here.get(path).text
        assert f'id="lab-{FOREIGN}"' in everywhere.get(path).text


def test_programs_have_no_account_and_cannot_change_people(two: Site) -> None:
    boss = program(two, Role.ADMINISTRATOR, None)
    for endpoint, method, address in rules(two.app.flask):
        if endpoint in ACCOUNT_ONLY:
            assert boss.request(method, address).status_code == 403, endpoint
    assert boss.get("/people").status_code == 200
    assert boss.post("/people", data={"name": "eve"}).status_code == 403
    assert two.browser().post("/people", data={"name": "eve"}).status_code == 303  # the positive control
    assert two.browser().get("/account").status_code == 200


def test_a_route_without_a_line_fails_the_start(site: Site) -> None:
    check_declared(site.app.flask)
    site.app.flask.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    with pytest.raises(RuntimeError, match="forgotten"):
        check_declared(site.app.flask)


def test_the_table_names_no_route_that_is_not_there(site: Site) -> None:
    there = {rule.endpoint for rule in site.app.flask.url_map.iter_rules()}
    assert {endpoint for endpoint in there if not endpoint.startswith("api.")} == ROUTES.keys()
    assert there >= PASSIVE
    assert all(access.why for access in ROUTES.values() if access.right is None)
    assert Right.SITE in RIGHTS[Role.ADMINISTRATOR]
