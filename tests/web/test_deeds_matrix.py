# SPDX-License-Identifier: MIT
"""Every deed on profiles, images, drafts and jobs x every role x own and foreign lab, as a page sends it and as a program does.

Before each request the site's database is what it was: so each deed is tried as the first, whoever did it before, and a refusal is
compared with the same request by somebody who may. A refusal changes no row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from labvirt.domain.caller import Grant
from labvirt.domain.right import Role
from labvirt.usecases import people
from labvirt.web.api.blueprint import NOUNS

from .asked import about
from .conftest import Site
from .deeds import DEEDS, Deed
from .test_matrix import browser, not_done, program
from .two_labs import FOREIGN, NUMBERS, OWN, furnish

CASES = [(OWN, OWN), (OWN, FOREIGN), (None, OWN), (None, FOREIGN)]
"""(where the role is granted, which lab is acted upon)"""
MISSING = "You may not do this"
SENT = {"Accept": "application/json"}
THE_SITES = frozenset({"images_blank", "images_scrub"})
"""They name no lab's thing; tests/web/test_matrix.py has the pages for it."""


@dataclass
class Began:
    """The site's database as it was when all were signed in."""

    site: Site
    file: Path
    kept: sqlite3.Connection

    def again(self, deed: Deed, lab: str) -> dict[str, Any]:
        """It is so again, with what the deed needs; what there is."""
        with sqlite3.connect(self.file) as now:
            self.kept.backup(now)
        if deed.before is not None:
            with self.site.ports.database.write() as work:
                deed.before(self.site, work, lab)
                work.commit()
        return self.rows()

    def rows(self) -> dict[str, Any]:
        """What the deeds are about. (Not the audit: there the refusals are.)"""
        with self.site.ports.database.read() as work:
            return {
                "profiles": work.profiles.list(),
                "images": work.images.list(),
                "versions": [work.images.versions(each.name) for each in work.images.list()],
                "drafts": work.drafts.list(),
                "jobs": work.jobs.list(),
            }


@pytest.fixture
def two(site: Site) -> Site:
    furnish(site)
    people.add(site.ports, "anna")
    return site


@pytest.fixture
def begun(two: Site, tmp_path: Path) -> Iterator[Began]:
    """To be kept when everybody is signed in."""
    kept = sqlite3.connect(":memory:")
    yield Began(two, tmp_path / "site-0" / "labvirt.db", kept)
    kept.close()


def keep(begun: Began) -> None:
    with sqlite3.connect(begun.file) as now:
        now.backup(begun.kept)


def filled(told: Any, lab: str) -> Any:
    """With the lab's names in it."""
    if isinstance(told, str):
        return about(told, lab)
    if isinstance(told, dict):
        return {key: filled(value, lab) for key, value in told.items()}
    return [filled(each, lab) for each in told] if isinstance(told, list) else told


def by_page(begun: Began, client: httpx.Client, deed: Deed, lab: str) -> str:
    """What came of it: 'done', 'not there', 'not allowed', or the code or sentence of another refusal."""
    assert deed.page is not None
    client.cookies.delete(begun.site.app.flask.config["SESSION_COOKIE_NAME"])  # nothing that was told before
    address, form = deed.page
    answer = client.post(about(address, lab), data=filled(dict(form), lab), headers=SENT)
    if answer.status_code in (403, 404):
        return "not allowed" if answer.status_code == 403 else "not there"
    assert answer.status_code in (303, 409, 400), answer.text
    told = not_done(begun.site, answer) if answer.status_code == 303 else answer.text
    if told.startswith(MISSING) or f"{MISSING}:" in told:
        return "not allowed"
    if told.startswith("There is no"):
        return "not there"
    return f"refused: {told}" if told else "done"


def by_program(begun: Began, client: httpx.Client, deed: Deed, lab: str) -> str:
    assert deed.api is not None
    method, path, body = deed.api
    answer = client.request(method, f"/api/v1{about(path, lab)}", json=filled(body, lab) if body is not None else None)
    assert answer.status_code < 500, answer.text
    if answer.status_code < 300:
        return "done"
    return {403: "not allowed", 404: "not there"}.get(answer.status_code) or f"refused: {answer.json()['code']}"


def expected(deed: Deed, role: Role, granted: str | None, lab: str) -> str:
    if Grant(role, granted).gives(deed.right, lab):
        return "refused" if deed.otherwise else "done"
    return "not there" if granted not in (None, lab) and not deed.new else "not allowed"


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("door", [by_page, by_program])
def test_each_deed_by_each_role_in_its_own_and_a_foreign_lab(begun: Began, role: Role, door: Any) -> None:
    signed_in = browser if door is by_page else program
    clients = {OWN: signed_in(begun.site, role, OWN), None: signed_in(begun.site, role, None)}
    keep(begun)
    tried, wrong = 0, []
    for deed in DEEDS:
        if (deed.page if door is by_page else deed.api) is None:
            continue
        for granted, lab in CASES:
            before = begun.again(deed, lab)
            came = door(begun, clients[granted], deed, lab)
            wanted = expected(deed, role, granted, lab)
            changed = begun.rows() != before
            if came.partition(":")[0] != wanted or changed != (wanted == "done"):
                wrong.append((str(deed), granted or "everywhere", lab, came, wanted, "rows changed" if changed else "no row changed"))
            tried += 1
    assert wrong == []
    assert tried >= 60


def test_a_profile_is_not_moved_to_a_lab_where_one_may_not_design(begun: Began) -> None:
    """By who may in its own lab: the lab it shall be moved to is asked too."""
    here, everywhere = program(begun.site, Role.LAB_MANAGER, OWN), program(begun.site, Role.LAB_MANAGER, None)
    for client, good in ((here, False), (everywhere, True)):
        answer = client.patch(f"/api/v1/profiles/{OWN}-desk", json={"labs": [OWN, FOREIGN]})
        assert (answer.status_code == 200) == good, answer.text


def test_the_deeds_are_all_that_there_are() -> None:
    """What of these nouns writes through the API stands in the table, or is named: so a new one is asked for."""
    known = {"profile": f"{OWN}-desk", "image": f"{OWN}-disk", "draft": f"{OWN}-disk.d1", "check": "test_it.py"}
    told = {(deed.api[0], about(deed.api[1], OWN)) for deed in DEEDS if deed.api}
    wanted = set()
    for each in (operation for noun in NOUNS for operation in noun.operations):
        if each.noun in ("profiles", "images", "versions", "sessions", "jobs") and each.method != "GET" and each.id not in THE_SITES:
            number = NUMBERS[OWN] if each.noun == "jobs" else 2 if each.path.endswith(("/test", "/flatten")) else 1
            wanted.add((each.method, each.path.format(**known, number=number)))
    assert told == wanted
