# SPDX-License-Identifier: MIT
"""Every route x every role x own and foreign lab, from the application's own map of addresses. What is to be expected is computed from
labvirt/web/ui/routes.py and the table of roles: a new route joins by its line there, and by an address here when it needs a special one.

Each refusal has its positive control: the same request by somebody who may.
"""

from __future__ import annotations

import re
from html import escape

import httpx
import pytest
from flask.sessions import SecureCookieSessionInterface

from labvirt.domain.caller import Grant
from labvirt.domain.person import Person
from labvirt.domain.right import RIGHTS, Right, Role
from labvirt.usecases import people, sign_in, terminal_list, terminals, tokens
from labvirt.usecases.sign_in import From
from labvirt.web.ui.knock import COOKIE
from labvirt.web.ui.routes import PASSIVE, ROUTES, Access, Scope, check_declared

from .asked import REALLY, about, form, rules
from .conftest import Site
from .two_labs import FOREIGN, OWN, furnish

ONLY_WITH = {
    "mine.page": Right.OPERATE,
    "mine.part": Right.OPERATE,
    "inbox.knocking": Right.SEATS,
    "inbox.list_page": Right.SEATS,
}
"""Pages for everybody, with nothing of a lab on them for who has not this right there."""
COUNTS = frozenset({"inbox.knocking", "hosts.page", "hosts.part", "jobs.count"})
"""They name no lab: of two labs they count more than of one."""
AUDIT = frozenset({"audit.page", "audit.export"})
"""Nothing was done yet; tests/web/test_audit_page.py has whose deeds are told."""


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
    """lab-a and lab-b, each with everything that a route can be about."""
    furnish(site)
    people.add(site.ports, "anna")
    return site


def somebody(site: Site, role: Role, lab: str | None) -> str:
    """A person with this role; also an administrator of one lab, whom nobody can make."""
    name = f"{role}-{lab or 'everywhere'}"
    with site.ports.database.write() as work:
        work.people.add(Person(name=name, made_at=site.ports.clock.now(), own=(Grant(role, lab),)))
        work.commit()
    return name


def stranger(site: Site) -> httpx.Client:
    """A browser of somebody who is signed in and was granted nothing."""
    people.add(site.ports, "nobody-yet")
    people.set_password(site.ports, "nobody-yet", "four words in a row")
    opened = sign_in.with_password(site.ports, "nobody-yet", "four words in a row", who=From(address="192.0.2.1"))
    return site.client(cookies={COOKIE: opened.token}, headers={"Accept": "application/json"})


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
        for client, granted, lab in ((here, OWN, OWN), (here, OWN, FOREIGN), (everywhere, None, OWN), (everywhere, None, FOREIGN)):
            answer = client.request(method, about(address, lab), data=form(endpoint, lab) if method == "POST" else None)
            refused = {403} if access.scope is Scope.SITE else {403, 404}  # whose lab one may not see is not there
            let_in = answer.status_code not in {401, *refused}
            expected = may(access, role, granted, lab)
            first = (granted, lab) in ((OWN, OWN), (None, FOREIGN))
            failed = answer.status_code >= 500 or (endpoint in REALLY and let_in and first and not_done(two, answer))
            if let_in != expected or failed:
                wrong.append((endpoint, method, granted or "everywhere", lab, answer.status_code, failed or answer.text[:200]))
    assert wrong == []
    assert len(seen) > 50


def not_done(site: Site, answer: httpx.Response) -> str:
    """The sentence with which the next page will say that it was refused; empty: it was done. What was told before waits there too."""
    flask = site.app.flask
    kept = answer.cookies.get(flask.config["SESSION_COOKIE_NAME"])
    signer = SecureCookieSessionInterface().get_signing_serializer(flask)
    assert signer is not None
    told = signer.loads(kept).get("_flashes", []) if kept else []
    return " ".join(sentence for category, sentence in told[-1:] if category == "refused")


@pytest.mark.parametrize("role", Role)
def test_pages_of_all_labs_show_ones_own_only(two: Site, role: Role) -> None:
    here, everywhere, nobody = browser(two, role, OWN), browser(two, role, None), stranger(two)
    seen = set()
    for endpoint, method, address in sorted(rules(two.app.flask)):
        access = ROUTES[endpoint]
        if access.scope is not Scope.ANYWHERE or method != "GET":
            continue
        seen.add(endpoint)
        asked = [client.get(about(address, OWN)) for client in (here, everywhere, nobody)]
        own, both, none = (each.text for each in asked)
        assert FOREIGN not in own, endpoint
        assert not re.search(f"{OWN}|{FOREIGN}", none.replace(escape(terminal_list.EXAMPLE), "")), endpoint
        assert {each.status_code for each in asked[:2]} == {200 if may(access, role, OWN, OWN) else 403}, endpoint
        if asked[0].status_code == 200 and endpoint not in AUDIT and (endpoint not in ONLY_WITH or ONLY_WITH[endpoint] in RIGHTS[role]):
            assert own != both if endpoint in COUNTS else FOREIGN in both, endpoint
            assert endpoint in COUNTS or OWN in own, endpoint
    assert len(seen) > 15


@pytest.mark.parametrize("role", Role)
def test_a_list_of_terminals_is_taken_for_ones_own_lab_only(two: Site, role: Role) -> None:
    here, everywhere = browser(two, role, OWN), browser(two, role, None)
    may_list = Right.SEATS in RIGHTS[role]
    for number, (client, lab, good) in enumerate(((here, FOREIGN, False), (here, OWN, True), (everywhere, FOREIGN, True))):
        before = terminals.everything(two.ports, lab)
        line = f"mac,lab\n52:54:00:dd:00:{number:02x},{lab}\n"
        for do in ("look", "take"):
            status = client.post("/inbox/list", data={"list": line, "do": do}).status_code
            # who may not is told it on the page itself
            assert status in ({200 if do == "look" else 303 if good else 400} if may_list else {400, 403})
        assert len(terminals.everything(two.ports, lab)) - len(before) == (1 if good and may_list else 0)


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
            assert boss.request(method, address).status_code == (400 if endpoint == "around.speak" else 403), endpoint
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
