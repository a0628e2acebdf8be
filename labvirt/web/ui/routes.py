# SPDX-License-Identifier: MIT
"""Every route and who may call it: the documented matrix (OWASP ASVS 5.0, 8.1.1). The tests read it; an application with a route that is
not here does not start.

A new route is one line: its endpoint, and what it needs. What a route really does is guarded by its use case (usecases/rights.py): this
table says what is to be expected of it, and a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flask import Flask

from labvirt.domain.right import Right


class Scope(StrEnum):
    """Where the right is asked for."""

    LAB = "lab"
    """In the lab that the request names, itself or by a terminal or guest of it."""
    SITE = "site"
    ANYWHERE = "anywhere"
    """In any lab; it shows or does nothing of others."""
    OWN = "own"
    """Nothing but to be signed in: it is about one's own account."""


@dataclass(frozen=True, slots=True)
class Access:
    """`right` None: for everybody, because of `why`. `passive`: pages ask for it by themselves, which keeps no sign-in alive."""

    right: Right | None
    scope: Scope = Scope.LAB
    why: str = ""
    passive: bool = False


def _open(why: str) -> Access:
    return Access(None, why=why)


_TERMINAL = _open("a lab PC: its leased address is the proof")
_SIGNED_IN = Access(Right.LOOK, Scope.OWN)
_SENDING = Access(Right.STORE, Scope.SITE)
_PEOPLE = Access(Right.SITE, Scope.SITE)

ROUTES: Mapping[str, Access] = {
    "static": _open("style, scripts and signs of the pages, the door's too"),
    "pages.door": _open("where one signs in"),
    "pages.enter": _open("where one signs in"),
    "pages.enter_phone": _open("the second step of it"),
    "pages.health": _open("for who watches that the server answers; says no more"),
    "terminals.ticket": _TERMINAL,
    "terminals.heartbeat": _TERMINAL,
    "terminals.deed": _TERMINAL,
    "terminals.boot": _TERMINAL,
    "terminals.tell_hardware": _TERMINAL,
    "pages.first": Access(Right.LOOK, Scope.ANYWHERE),
    "pages.labs": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "pages.leave": _SIGNED_IN,
    "pages.screen": Access(Right.WATCH, passive=True),
    "pages.lab_boots": Access(Right.LOOK),
    "pages.terminal": Access(Right.LOOK),
    "pages.terminal_power": Access(Right.OPERATE),
    "pages.lab_power": Access(Right.LOOK),
    "pages.lab_power_deed": Access(Right.OPERATE),
    "settings.page": Access(Right.LOOK),
    "settings.change": Access(Right.SEATS),
    "tell.page": Access(Right.LOOK),
    "tell.tell": Access(Right.OPERATE),
    "uploads.begin": _SENDING,
    "uploads.everything": _SENDING,
    "uploads.one": _SENDING,
    "uploads.finish": _SENDING,
    "uploads.give_up": _SENDING,
    "account.page": _SIGNED_IN,
    "account.confirm": _SIGNED_IN,
    "account.password": _SIGNED_IN,
    "account.phone": _SIGNED_IN,
    "account.phone_picture": _SIGNED_IN,
    "account.token": _SIGNED_IN,
    "account.end": _SIGNED_IN,
    "people.page": _PEOPLE,
    "people.add": _PEOPLE,
    "people.one": _PEOPLE,
    "people.change": _PEOPLE,
    "people.ask_second_factor": _PEOPLE,
    "people.add_group": _PEOPLE,
    "people.change_group": _PEOPLE,
    "audit.page": Access(Right.AUDIT, Scope.ANYWHERE),
    "audit.export": Access(Right.AUDIT, Scope.ANYWHERE),
    "consoles.buy": Access(Right.WATCH),
    "consoles.page": Access(Right.WATCH),
    "around.speak": _SIGNED_IN,
    "campus_dhcp.page": Access(Right.LOOK),
    "campus_dhcp.download": Access(Right.LOOK),
    "pools.page": Access(Right.LOOK),
    "pools.change": Access(Right.DESIGN),
    "labmap.page": Access(Right.LOOK),
    "labmap.part": Access(Right.LOOK, passive=True),
    "labmap.place": Access(Right.SEATS),
    "labmap.room": Access(Right.SEATS),
    "labmap.plan": Access(Right.OPERATE),
    "labmap.act": Access(Right.OPERATE),
    "seat_profiles.plan": Access(Right.SEATS),
    "seat_profiles.do": Access(Right.SEATS),
    "seat.page": Access(Right.LOOK),
    "seat.now": Access(Right.LOOK, passive=True),
    "seat.act": Access(Right.OPERATE),
    "inbox.page": Access(Right.LOOK, Scope.ANYWHERE),
    "inbox.knocking": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "inbox.adopt": Access(Right.SEATS),
    "inbox.change": Access(Right.SEATS),
    "inbox.list_page": Access(Right.LOOK, Scope.ANYWHERE),
    "inbox.list_look": Access(Right.SEATS, Scope.ANYWHERE),
    "profiles.page": Access(Right.LOOK, Scope.ANYWHERE),
    "profiles.one": Access(Right.LOOK),
    "profiles.preview": Access(Right.LOOK),
    "profiles.edit": Access(Right.LOOK),
    "profiles.new": Access(Right.LOOK, Scope.ANYWHERE),
    "profiles.add": Access(Right.DESIGN),
    "profiles.change": Access(Right.DESIGN),
    "profiles.do": Access(Right.DESIGN),
    "images.page": Access(Right.LOOK, Scope.ANYWHERE),
    "images.one": Access(Right.LOOK),
    "images.canary": Access(Right.UPDATE),
    "images.blank": _SENDING,
    "images.do": Access(Right.UPDATE),
    "drafts.start": Access(Right.UPDATE),
    "drafts.one": Access(Right.LOOK),
    "drafts.now": Access(Right.LOOK, passive=True),
    "drafts.do": Access(Right.UPDATE),
    "mine.page": Access(Right.LOOK, Scope.ANYWHERE),
    "mine.part": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "jobs.page": Access(Right.LOOK, Scope.ANYWHERE),
    "jobs.part": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "jobs.drawer": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "jobs.count": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "jobs.one": Access(Right.LOOK),
    "jobs.one_part": Access(Right.LOOK, passive=True),
    "jobs.cancel": Access(Right.UPDATE),
    "hosts.page": Access(Right.LOOK, Scope.ANYWHERE),
    "hosts.part": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "hosts.service": Access(Right.SITE, Scope.SITE),
    "search.page": Access(Right.LOOK, Scope.ANYWHERE),
    "search.found": Access(Right.LOOK, Scope.ANYWHERE, passive=True),
    "plant.page": Access(Right.LOOK, Scope.ANYWHERE),
    "welcome.page": Access(Right.SITE, Scope.SITE),
    "welcome.doctor": Access(Right.SITE, Scope.SITE),
    "welcome.lab": Access(Right.SITE, Scope.SITE),
    "welcome.image": Access(Right.SITE, Scope.SITE),
    "welcome.profile": Access(Right.SITE, Scope.SITE),
    "monitoring.metrics": _open("it looks itself who asks: a listed address, or somebody who sees the whole site"),
    "monitoring.ready": _open("for who watches the server; says which part does not answer, no more"),
}
"""Endpoint -> who. Native routes (events, pieces of uploads, boot files, questions of terminals) are checked where they are."""

ENROLLING = frozenset(
    {"account.page", "account.confirm", "account.phone", "account.phone_picture", "around.speak", "pages.leave"}
    | {f"api.account_{each}" for each in ("show", "confirm", "begin_phone", "finish_phone")}
)
"""All that is there for who must set up a second factor, beside what is open."""
OPEN = frozenset(endpoint for endpoint, access in ROUTES.items() if access.right is None)
PASSIVE = frozenset(endpoint for endpoint, access in ROUTES.items() if access.passive)


def check_declared(app: Flask) -> None:
    """Raises RuntimeError, naming them, when the application has routes that nobody declared here. The API's are its table of operations
    (web/api/), for whoever is signed in; each operation is one use case, which asks for its right."""
    found = {rule.endpoint for rule in app.url_map.iter_rules()}
    undeclared = sorted(endpoint for endpoint in found - ROUTES.keys() if not endpoint.startswith("api."))
    if undeclared:
        raise RuntimeError(f"routes without a line in labvirt/web/ui/routes.py: {', '.join(undeclared)}")
